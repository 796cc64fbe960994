#include "model/fields.h"

#include <algorithm>

namespace peakmem {
namespace {

std::string describe(const Value& value) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return "null";
    case Value::Kind::kBool:
      return value.boolean ? "true" : "false";
    case Value::Kind::kInteger:
      return std::to_string(value.integer);
    case Value::Kind::kReal:
      return "a number with a fraction or out of range";
    case Value::Kind::kString:
      return "the text \"" + value.string.substr(0, 40) + "\"";
    case Value::Kind::kList:
      return "a list";
    case Value::Kind::kObject:
      return "an object";
  }
  return "unknown";
}

}  // namespace

const Value* Fields::find(std::string_view name) {
  asked_.push_back(name);
  return object_.find(name);
}

bool Fields::has(std::string_view name) {
  const Value* value = find(name);
  return value != nullptr && !value->is_null();
}

void Fields::fail(std::string_view field, std::string_view problem, std::string_view hint) {
  if (!error_) error_ = Error{field, problem, hint};
}

std::optional<int64_t> Fields::whole(std::string_view name) {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Value::Kind::kInteger) {
    fail(name, "must be a whole number, is " + describe(*value));
    return std::nullopt;
  }
  if (value->integer > 0) return value->integer;
  fail(name, "must be at least 1, is " + std::to_string(value->integer));
  return std::nullopt;  // whoever divides by it gets its default
}

std::optional<int64_t> Fields::optional_size(std::string_view name, std::string_view alias) {
  if (!alias.empty() && has(alias)) return whole(alias);
  return has(name) ? whole(name) : std::nullopt;
}

int64_t Fields::size(std::string_view name, int64_t otherwise, std::string_view alias) {
  if (!alias.empty() && find(alias) != nullptr) {
    find(name);
    return whole(alias).value_or(otherwise);
  }
  return whole(name).value_or(otherwise);
}

bool Fields::flag(std::string_view name, bool otherwise) {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->kind != Value::Kind::kBool) fail(name, "must be true or false, is " + describe(*value));
  return value->boolean;
}

double Fields::probability(std::string_view name, double otherwise) {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  if (value->kind != Value::Kind::kReal && value->kind != Value::Kind::kInteger) {
    fail(name, "must be a probability, is " + describe(*value));
    return otherwise;
  }
  if (value->real < 0.0 || value->real >= 1.0) fail(name, "must be a probability from 0 to below 1");
  return value->real;
}

std::string Fields::text(std::string_view name, std::string_view otherwise) {
  const Value* value = find(name);
  if (value == nullptr) return std::string(otherwise);
  if (value->kind != Value::Kind::kString) fail(name, "must be a text, is " + describe(*value));
  return value->string;
}

std::vector<std::string> Fields::texts(std::string_view name) {
  std::vector<std::string> list;
  if (!has(name)) return list;
  const Value* value = object_.find(name);
  if (value->kind != Value::Kind::kList) {
    fail(name, "must be a list, is " + describe(*value));
    return list;
  }
  for (const Value& item : value->items) {
    if (item.kind != Value::Kind::kString) fail(name, "must be a list of texts, holds " + describe(item));
    list.push_back(item.string);
  }
  return list;
}

void Fields::ignore(std::initializer_list<std::string_view> names) {
  asked_.insert(asked_.end(), names.begin(), names.end());
}

void Fields::refuse_flag(std::string_view name, bool harmless, std::string_view reason) {
  if (has(name) && flag(name, harmless) != harmless)
    fail(name, std::string(reason) + ", which is not modelled",
         std::string("set it to ") + (harmless ? "true" : "false"));
}

void Fields::note_unknown(std::string_view part, const std::vector<std::string>& names) {
  for (const std::string& name : names) of_parts_.push_back(std::string(part) + "." + name);
}

std::vector<std::string> Fields::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.members)
    if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) names.push_back(name);
  names.insert(names.end(), of_parts_.begin(), of_parts_.end());
  return names;
}

}  // namespace peakmem
