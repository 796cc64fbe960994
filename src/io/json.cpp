#include "io/json.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#define JSON_NO_IO  // streams would be set up at every start of the program
#include <nlohmann/json.hpp>

namespace peakmem {
namespace {

using Json = nlohmann::json;

/// "line 3, column 14"; columns count characters, not bytes.
std::string place(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::string_view in_line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  const auto column = 1 + std::count_if(in_line.begin(), in_line.end(),
                                        [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// What people write where JSON wants something else.
struct Mistake {
  std::string_view text;
  std::string_view hint;
};
constexpr std::array kMistakes = {
    Mistake{"NaN", "JSON has no NaN, though Python writes it: write null, or leave the field out"},
    Mistake{"Infinity", "JSON has no Infinity, though Python writes it: write null, or leave the field out"},
    Mistake{"True", "JSON writes true, in lower case"},
    Mistake{"False", "JSON writes false, in lower case"},
    Mistake{"None", "JSON writes null"},
    Mistake{"'", "JSON puts strings between double quotes"},
    Mistake{"/", "JSON has no comments: remove it"},
    Mistake{"#", "JSON has no comments: remove it"},
    Mistake{"}", "remove the comma before it, or add what is missing"},
    Mistake{"]", "remove the comma before it, or add what is missing"},
};

std::string hint_for(std::string_view rest) {
  for (const Mistake& mistake : kMistakes)
    if (rest.starts_with(mistake.text)) return std::string(mistake.hint);
  return rest.empty() ? "the text ends too early: is it cut off?" : "";
}

/// The library's message without its number and place (ours is given apart) and without the text it quotes (which may
/// be long, or no text at all).
std::string plain_message(std::string message, const std::string& last_token) {
  const std::string quoted = "; last read: '" + last_token + "'";
  if (const size_t at = message.find(quoted); at != std::string::npos) message.erase(at, quoted.size());
  for (const std::string_view prefix : {"] ", "parse error at line ", ": ", "syntax error while "}) {
    const size_t at = message.find(prefix);
    if (at < 40) message.erase(0, at + prefix.size());
  }
  return message;
}

/// Builds the Value from the reader's events; `false` stops the reader.
class Builder {
 public:
  explicit Builder(std::string_view text) : text_(text) {}

  Result<Value> result(bool complete) && {
    if (complete) return std::move(root_);
    return std::move(error_);
  }

  // The names and arguments below are the library's.
  bool null() { return add({.kind = Value::Kind::kNull}) != nullptr; }
  bool boolean(bool value) { return add({.kind = Value::Kind::kBool, .boolean = value}) != nullptr; }
  bool number_integer(int64_t value) {
    return add({.kind = Value::Kind::kInteger, .integer = value, .real = static_cast<double>(value)}) != nullptr;
  }
  bool number_unsigned(uint64_t value) {
    return std::in_range<int64_t>(value) ? number_integer(static_cast<int64_t>(value))
                                         : number_float(static_cast<double>(value), {});
  }
  bool number_float(double value, const std::string& /*as_written*/) {
    return add({.kind = Value::Kind::kReal, .real = value}) != nullptr;
  }
  bool string(std::string& value) { return add({.kind = Value::Kind::kString, .string = std::move(value)}) != nullptr; }
  static bool binary(const Json::binary_t& /*value*/) { return false; }  // not in JSON texts

  bool start_object(size_t /*size*/) { return open(Value::Kind::kObject); }
  bool start_array(size_t /*size*/) { return open(Value::Kind::kList); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool parse_error(size_t characters_read, const std::string& last_token, const Json::exception& error) {
    const size_t offset = std::min(characters_read - std::min<size_t>(characters_read, 1), text_.size());
    error_ = {.field = place(text_, offset),
              .problem = plain_message(error.what(), last_token),
              .hint = hint_for(text_.substr(offset))};
    return false;
  }

 private:
  bool stop(std::string problem, std::string hint) {
    error_ = {.field = "", .problem = std::move(problem), .hint = std::move(hint)};
    return false;
  }

  /// Puts `value` where the next one belongs and says where it lies now: null if there are too many.
  Value* add(Value value) {
    if (++values_ > kJsonMaxValues) {
      stop("holds more than " + std::to_string(kJsonMaxValues) + " values", "give a smaller file");
      return nullptr;
    }
    if (open_.empty()) return &(root_ = std::move(value));
    Value& parent = *open_.back();
    if (parent.kind == Value::Kind::kList) return &parent.items.emplace_back(std::move(value));
    return &parent.members.emplace_back(std::move(key_), std::move(value)).value;
  }

  bool open(Value::Kind kind) {
    if (open_.size() == kJsonMaxDepth)
      return stop("is nested deeper than " + std::to_string(kJsonMaxDepth) + " levels", "is this the right file?");
    Value* added = add({.kind = kind});
    if (added != nullptr) open_.push_back(added);
    return added != nullptr;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  Value root_;
  std::vector<Value*> open_;  // the lists and objects around the next value; each stays in place while it is open
  std::string key_;
  size_t values_ = 0;
  Error error_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  if (text.size() > kJsonMaxBytes)
    return Error{.field = "",
                 .problem = "is larger than " + std::to_string(kJsonMaxBytes >> 20) + " MiB",
                 .hint = "is this the right file?"};
  Builder builder(text);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).result(complete);
}

}  // namespace peakmem
