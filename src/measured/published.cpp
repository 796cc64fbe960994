#include "measured/published.h"

#include <optional>

namespace peakmem {
namespace {

const std::string* text(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::kString ? &found->string : nullptr;
}

int64_t bytes(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found != nullptr && found->kind == Value::Kind::kInteger ? found->integer : 0;
}

double number(const Value& object, std::string_view name) {
  const Value* found = object.find(name);
  return found == nullptr ? 0 : found->real;
}

std::optional<Error> read_row(const Value& value, PublishedSource& source) {
  const std::string* row = text(value, "row");
  const std::string* command = text(value, "command");
  if (row == nullptr) return Error{"row", "is missing", "see data/published/README.md"};
  if (command == nullptr) return Error{"command", "is missing of " + *row, "see data/published/README.md"};
  const PublishedRow read = {*row,
                             *command,
                             bytes(value, "allocated_bytes"),
                             bytes(value, "reserved_bytes"),
                             bytes(value, "device_bytes"),
                             number(value, "tokens_per_second")};
  if (read.allocated_bytes <= 0 && read.reserved_bytes <= 0 && read.device_bytes <= 0)
    return Error{"row", *row + " has no bytes", "see data/published/README.md"};
  source.rows.push_back(read);
  return std::nullopt;
}

}  // namespace

Result<PublishedSource> read_published(const Value& file) {
  const std::string* name = text(file, "source");
  if (name == nullptr)
    return Error{"source", "is missing: this is no file of published rows", "see data/published/README.md"};
  PublishedSource source;
  source.name = *name;
  if (const Value* rows = file.find("rows"))
    for (const Value& row : rows->items)
      if (auto wrong = read_row(row, source)) return *wrong;
  if (const Value* rest = file.find("not_covered"))
    for (const Value& group : rest->items)
      if (const std::string* why = text(group, "why")) source.not_covered.push_back({bytes(group, "rows"), *why});
  return source;
}

}  // namespace peakmem
