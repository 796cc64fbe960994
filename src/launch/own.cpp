#include "launch/own.h"

#include "format/json_writer.h"
#include "format/yaml.h"
#include "format/yaml_writer.h"
#include "size/nearest.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

/// A value as the command line has it: a list is its entries with commas between.
std::string option_text(const Value& value) {
  if (value.kind == Kind::kString) return value.string;
  if (value.kind != Kind::kList) return to_json(value);
  std::string text;
  for (const Value& item : value.items) text += (text.empty() ? "" : ",") + option_text(item);
  return text;
}

/// What stands behind an option, a size as a number and a flag as true or false; `no` of a choice stays a text.
Value option_value(const OptionValue& option) {
  const OptionRow* row = find_option(option.name);
  if (row != nullptr && row->kind == OptionKind::kFlag) return yaml_scalar(option.text == "false" ? "false" : "true");
  const Value number = yaml_scalar(option.text);
  const bool size = row != nullptr && row->kind == OptionKind::kSize && number.kind == Kind::kInteger;
  return size ? number : Value{.kind = Kind::kString, .string = option.text};
}

Error unknown_name(const std::string& file, const std::string& name) {
  std::vector<std::string_view> known;
  for (const OptionRow& row : option_rows()) known.push_back(row.name);
  const auto near = nearest(name, known);
  return {file + ": " + name.substr(0, 60), "is no option",
          near ? "did you mean " + std::string(*near) + "?" : "peakmem --help-all lists the options"};
}

}  // namespace

std::string own_text(const std::string& model, const OptionValues& options) {
  Value object = {.kind = Kind::kObject};
  object.members.push_back({"peakmem", yaml_scalar("1")});
  if (!model.empty()) object.members.push_back({"model", {.kind = Kind::kString, .string = model}});
  for (const OptionValue& option : options) object.members.push_back({option.name, option_value(option)});
  return to_yaml(object);
}

std::optional<Error> take_own(const Value& object, const std::string& file, Understanding& u) {
  for (const Member& member : object.members) {
    if (member.name == "peakmem" || member.name == "model" || member.value.is_null()) continue;
    if (find_option(member.name) == nullptr) return unknown_name(file, member.name);
    u.set(member.name, option_text(member.value));
    u.settings.notes.used.push_back(member.name + ": " + shown(member.value));
  }
  return std::nullopt;
}

}  // namespace peakmem
