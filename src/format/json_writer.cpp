#include "format/json_writer.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include "format/json.h"

namespace peakmem {
namespace {

/// The bytes of the UTF-8 sequence `text` starts with, 0 if it starts with none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto continued = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continued(1) ? 2 : 0;
  // The second byte's bounds keep out overlong forms, surrogates and what lies beyond U+10FFFF.
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool second = continued(1, lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF);
    return second && continued(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool second = continued(1, lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF);
    return second && continued(2) && continued(3) ? 4 : 0;
  }
  return 0;
}

/// The escape a string must have for `c`, empty if `c` may stand as it is.
std::string escape(char c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (static_cast<unsigned char>(c) >= 0x20) return "";
  constexpr std::string_view kDigits = "0123456789abcdef";
  return std::string("\\u00") + kDigits[static_cast<size_t>(c) >> 4U] + kDigits[static_cast<size_t>(c) & 15U];
}

}  // namespace

void JsonWriter::key(std::string_view name) {
  separate();
  write_string(name);
  text_ += indent_ > 0 ? ": " : ":";
  after_key_ = true;
}

void JsonWriter::value(std::string_view text) {
  separate();
  write_string(text);
}

void JsonWriter::value(int64_t number) { put(std::to_string(number)); }
void JsonWriter::value(double number) { put(std::isfinite(number) ? json_number(number) : "null"); }
void JsonWriter::value(bool truth) { put(truth ? "true" : "false"); }
void JsonWriter::null() { put("null"); }

void JsonWriter::value(const Value& tree) {  // NOLINT(misc-no-recursion): as deep as what parse_json lets in
  switch (tree.kind) {
    case Value::Kind::kNull:
      return null();
    case Value::Kind::kBool:
      return value(tree.boolean);
    case Value::Kind::kInteger:
      return value(tree.integer);
    case Value::Kind::kReal:
      return value(tree.real);
    case Value::Kind::kString:
      return value(tree.string);
    case Value::Kind::kList:
      begin_list();
      for (const Value& item : tree.items) value(item);
      return end_list();
    case Value::Kind::kObject:
      begin_object();
      for (const auto& [name, content] : tree.members) member(name, content);
      return end_object();
  }
}

void JsonWriter::begin(char bracket) {
  separate();
  text_ += bracket;
  has_elements_.push_back(false);
}

void JsonWriter::end(char bracket) {
  const bool had_elements = has_elements_.back();
  has_elements_.pop_back();
  if (had_elements) break_line();
  text_ += bracket;
}

void JsonWriter::separate() {
  if (std::exchange(after_key_, false) || has_elements_.empty()) return;
  if (has_elements_.back()) text_ += ',';
  has_elements_.back() = true;
  break_line();
}

void JsonWriter::put(std::string_view token) {
  separate();
  text_ += token;
}

void JsonWriter::break_line() {
  if (indent_ == 0) return;
  text_ += '\n';
  text_.append(has_elements_.size() * static_cast<size_t>(indent_), ' ');
}

void JsonWriter::write_string(std::string_view text) {
  text_ += '"';
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string escaped = escape(text.front());
    if (length == 0) {
      text_ += "\uFFFD";
    } else {
      text_ += escaped.empty() ? text.substr(0, length) : escaped;
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
}

std::string to_json(const Value& value, int indent) {
  JsonWriter out(indent);
  out.value(value);
  return std::move(out).text();
}

}  // namespace peakmem
