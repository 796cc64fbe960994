#include "format/json.h"

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

/// The part of a reader that says what is wrong; `false` stops the library's reader.
class Complaints {
 public:
  explicit Complaints(std::string_view text) : text_(text) {}

  static bool binary(const Json::binary_t& /*value*/) { return false; }  // not in JSON texts
  bool parse_error(size_t characters_read, const std::string& last_token, const Json::exception& error) {
    const size_t offset = std::min(characters_read - std::min<size_t>(characters_read, 1), text_.size());
    error_ = Error(place(text_, offset), plain_message(error.what(), last_token), hint_for(text_.substr(offset)));
    return false;
  }

 protected:
  bool stop(std::string_view problem, std::string_view hint) {
    error_ = Error("", problem, hint);
    return false;
  }
  bool too_many(size_t most) {
    return stop("holds more than " + std::to_string(most) + " values", "give a smaller file");
  }
  bool too_deep() {
    return stop("is nested deeper than " + std::to_string(kJsonMaxDepth) + " levels", "is this the right file?");
  }

  std::string_view text_;
  Error error_;
};

/// Builds the Value from the reader's events.
class Builder : public Complaints {
 public:
  using Complaints::Complaints;

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

  bool start_object(size_t /*size*/) { return open(Value::Kind::kObject); }
  bool start_array(size_t /*size*/) { return open(Value::Kind::kList); }
  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

 private:
  /// Puts `value` where the next one belongs and says where it lies now: null if there are too many.
  Value* add(Value value) {
    if (++values_ > kJsonMaxValues) {
      too_many(kJsonMaxValues);
      return nullptr;
    }
    if (open_.empty()) return &(root_ = std::move(value));
    Value& parent = *open_.back();
    if (parent.kind == Value::Kind::kList) return &parent.items.emplace_back(std::move(value));
    return &parent.members.emplace_back(std::move(key_), std::move(value)).value;
  }

  bool open(Value::Kind kind) {
    if (open_.size() == kJsonMaxDepth) return too_deep();
    Value* added = add({.kind = kind});
    if (added != nullptr) open_.push_back(added);
    return added != nullptr;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  Value root_;
  std::vector<Value*> open_;  // the lists and objects around the next value; each stays in place while it is open
  std::string key_;
  size_t values_ = 0;
};

/// Builds the graph from the reader's events.
class GraphBuilder : public Complaints {
 public:
  using Complaints::Complaints;

  Result<ObjectFile> result(bool complete) && {
    if (complete) return std::move(file_);
    return std::move(error_);
  }

  // The names and arguments below are the library's.
  bool null() { return add(Objects::none()); }
  bool boolean(bool value) { return add(Objects::boolean(value)); }
  bool number_integer(int64_t value) { return add(file_.objects.integer(value)); }
  bool number_unsigned(uint64_t value) {
    return std::in_range<int64_t>(value) ? number_integer(static_cast<int64_t>(value))
                                         : number_float(static_cast<double>(value), {});
  }
  bool number_float(double value, const std::string& /*as_written*/) { return add(file_.objects.real(value)); }
  bool string(const std::string& value) { return add(file_.objects.string(value)); }
  bool start_object(size_t /*size*/) { return open(file_.objects.dict()); }
  bool start_array(size_t /*size*/) { return open(file_.objects.list()); }
  bool key(const std::string& name) {
    file_.objects.append(open_.back(), file_.objects.string(name));
    return true;
  }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

 private:
  bool add(ObjectId id) {
    if (file_.objects.size() > Objects::kMax) return too_many(Objects::kMax);
    if (open_.empty())
      file_.id = id;
    else
      file_.objects.append(open_.back(), id);
    return true;
  }
  bool open(ObjectId container) {
    if (open_.size() == kJsonMaxDepth) return too_deep();
    if (!add(container)) return false;
    open_.push_back(container);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  ObjectFile file_;
  std::vector<ObjectId> open_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  if (text.size() > kJsonMaxBytes)
    return Error("", "is larger than " + std::to_string(kJsonMaxBytes >> 20) + " MiB", "is this the right file?");
  Builder builder(text);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).result(complete);
}

Result<ObjectFile> parse_json_graph(std::string_view text) {
  GraphBuilder builder(text);
  const bool complete = Json::sax_parse(text.begin(), text.end(), &builder);
  return std::move(builder).result(complete);
}

std::string json_number(double number) {
  std::array<char, 64> text = {};
  const char* end = nlohmann::detail::to_chars(text.data(), text.data() + text.size(), number);
  return std::string(text.data(), static_cast<size_t>(end - text.data()));
}

}  // namespace peakmem
