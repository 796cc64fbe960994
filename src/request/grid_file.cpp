#include "request/grid_file.h"

#include "format/json.h"
#include "format/json_writer.h"

namespace peakmem {
namespace {

/// Values of an axis of a grid file, as the text that --values takes: a text, or a list.
Result<std::string> grid_values(const Member& axis) {
  const auto text_of = [](const Value& value) -> std::optional<std::string> {
    if (value.kind == Value::Kind::kString) return value.string;
    const bool plain = value.kind == Value::Kind::kInteger || value.kind == Value::Kind::kBool;
    return plain ? std::optional(to_json(value)) : std::nullopt;
  };
  if (axis.value.kind != Value::Kind::kList) {
    const std::optional<std::string> text = text_of(axis.value);
    if (text) return *text;
  }
  std::string values;
  for (const Value& item : axis.value.items) {
    const std::optional<std::string> text = text_of(item);
    if (!text || text->find_first_of(",;") != std::string::npos)
      return Error{"--grid", axis.name + " has a value that is neither a number nor a name", {}};
    values += (values.empty() ? "" : ",") + *text;
  }
  if (values.empty())
    return Error{"--grid", axis.name + " has no values", R"(such as "batch": "1..64" or "gpu": ["t4", "l4"])"};
  return values;
}

}  // namespace

std::optional<Error> read_grid_file(OptionValues& values) {
  const std::optional<std::string> text = take_option(values, "grid");
  if (!text) return std::nullopt;
  for (const char* other : {"over", "values"})
    if (Options(values).has(other))
      return Error{"--" + std::string(other), "stands in the grid file too", "drop one of them"};
  const Result<Value> grid = parse_json(*text);
  if (!grid) return Error{"--grid", grid.error().problem, grid.error().hint};
  if (grid->kind != Value::Kind::kObject || grid->members.empty())
    return Error{"--grid", "must be an object of options and their values",
                 R"(such as {"batch": "1..64", "gpu": ["t4", "l4"]})"};
  std::string over;
  std::string lists;
  for (const Member& axis : grid->members) {
    const Result<std::string> list = grid_values(axis);
    if (!list) return list.error();
    over += (over.empty() ? "" : ",") + axis.name;
    lists += (lists.empty() ? "" : ";") + *list;
  }
  values.push_back({"over", over});
  values.push_back({"values", lists});
  return std::nullopt;
}

}  // namespace peakmem
