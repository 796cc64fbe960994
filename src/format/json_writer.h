// Writing JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/value.h"

namespace peakmem {

/// Writes one JSON value piece by piece:
///
///     JsonWriter out;
///     out.begin_object();
///     out.member("peak", 6291456);
///     out.key("rows");
///     out.begin_list();
///     …
///     out.end_list();
///     out.end_object();
///     std::string text = std::move(out).text();
///
/// Commas, line breaks and escapes are its own affair; that begins and ends match, and that members have keys, the
/// caller's. Bytes that are no UTF-8 become U+FFFD, and numbers that are not finite null.
class JsonWriter {
 public:
  /// Spaces per level; 0 writes everything on one line.
  explicit JsonWriter(int indent = 2) : indent_(indent) {}

  void begin_object() { begin('{'); }
  void end_object() { end('}'); }
  void begin_list() { begin('['); }
  void end_list() { end(']'); }
  void key(std::string_view name);

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(int64_t number);
  void value(int number) { value(int64_t{number}); }
  void value(double number);
  void value(bool truth);
  void value(const Value& tree);
  void null();

  template <class T>
  void member(std::string_view name, const T& content) {
    key(name);
    value(content);
  }

  /// What was written.
  std::string text() && { return std::move(text_); }

 private:
  void begin(char bracket);
  void end(char bracket);
  /// What stands before an element or a key: a comma if it is not the first, and the line break.
  void separate();
  void put(std::string_view token);
  void break_line();
  void write_string(std::string_view text);

  std::string text_;
  std::vector<bool> has_elements_;  // of each list or object that is open
  bool after_key_ = false;
  int indent_;
};

/// `value` as JSON text.
std::string to_json(const Value& value, int indent = 2);

}  // namespace peakmem
