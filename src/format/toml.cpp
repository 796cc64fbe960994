#include "format/toml.h"

#include <algorithm>
#include <string>

// toml++ 3.3 asserts that a table's header begins with a key, and assumes so where NDEBUG is set; the text decides.
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace peakmem {
namespace {

using Kind = Value::Kind;

Value value_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Value value = {.kind = Kind::kObject};
    for (const auto& [key, inner] : *table) value.members.push_back({std::string(key.str()), value_of(inner)});
    return value;
  }
  if (const auto* array = node.as_array()) {
    Value value = {.kind = Kind::kList};
    for (const toml::node& inner : *array) value.items.push_back(value_of(inner));
    return value;
  }
  if (const auto* flag = node.as_boolean()) return {.kind = Kind::kBool, .boolean = flag->get()};
  if (const auto* number = node.as_integer())
    return {.kind = Kind::kInteger, .integer = number->get(), .real = static_cast<double>(number->get())};
  if (const auto* number = node.as_floating_point()) return {.kind = Kind::kReal, .real = number->get()};
  if (const auto* text = node.as_string()) return {.kind = Kind::kString, .string = text->get()};
  return {.kind = Kind::kString, .string = "a date"};
}

/// The text with a question mark for every byte that is no ASCII, where toml++ 3.3 leaves its own tables; no key that
/// is known has any.
std::string in_ascii(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string ascii(text);
  std::replace_if(ascii.begin(), ascii.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return ascii;
}

}  // namespace

Result<Value> parse_toml(std::string_view text) {
  if (text.size() > kTomlMaxBytes)
    return Error("", "is larger than " + std::to_string(kTomlMaxBytes >> 20) + " MiB", "is this the right file?");
  // TOML has no control characters but these; toml++ 3.3 asserts that there is none where a key begins.
  for (const char c : text)
    if (const auto code = static_cast<unsigned char>(c);
        (code < 0x20 && c != '\t' && c != '\n' && c != '\r') || code == 0x7f)
      return Error("", "is no TOML: it holds a control character", {});
  const toml::parse_result result = toml::parse(in_ascii(text));
  if (result) return value_of(result.table());
  return Error("line " + std::to_string(result.error().source().begin.line),
               "is no TOML: " + std::string(result.error().description()), {});
}

}  // namespace peakmem
