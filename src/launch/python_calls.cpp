#include "launch/python_calls.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include "launch/arithmetic.h"
#include "size/text.h"

namespace peakmem {
namespace {

using Kind = Value::Kind;

constexpr int kMaxDepth = 32;
constexpr size_t kMaxCalls = 10'000;

bool name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool name_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

Value text_value(std::string_view text) { return {.kind = Kind::kString, .string = std::string(text)}; }

/// Reads statements for what they call and assign, whatever stands around.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<PythonFile> read() {
    while (at_ < text_.size() && !error_) statement();
    if (error_) return *error_;
    return std::move(file_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool ends() const { return at_ >= text_.size() || error_.has_value(); }

  void stop(std::string_view problem) {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n');
    if (!error_) error_ = Error("line " + std::to_string(line), problem, "is the text cut off?");
  }

  void skip_comment() {
    while (!ends() && peek() != '\n') ++at_;
  }

  void skip_spaces() {
    for (; !ends(); ++at_) {
      if (peek() == '#') skip_comment();
      if (std::isspace(static_cast<unsigned char>(peek())) == 0 && peek() != '\\') return;
    }
  }

  /// What begins here at the top: a string to pass over, a name, anything else.
  void statement() {
    if (peek() == '#') return skip_comment();
    if (peek() == '"' || peek() == '\'') {
      (void)string();
      return;
    }
    if (!name_start(peek())) {
      ++at_;
      return;
    }
    const std::string name = dotted_name();
    while (peek() == ' ') ++at_;
    if (peek() == '(') return call(name, 0);
    const bool assigns = peek() == '=' && peek(1) != '=';
    if (!assigns) return;
    ++at_;
    Value value = expression(0, true);
    if (name.find('.') == std::string::npos && file_.names.members.size() < kMaxCalls)
      file_.names.members.push_back({name, std::move(value)});
  }

  std::string dotted_name() {
    const size_t begin = at_;
    while (name_part(peek()) || (peek() == '.' && name_start(peek(1)))) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  /// A string in one or three quotes; escapes stay as they are written.
  std::string string() {
    const char quote = peek();
    const std::string_view triple = text_.substr(at_, 3);
    const bool is_triple = triple.size() == 3 && triple[1] == quote && triple[2] == quote;
    const size_t begin = at_ + (is_triple ? 3 : 1);
    for (at_ = begin; at_ < text_.size(); ++at_) {
      if (peek() == '\\') {
        ++at_;
        continue;
      }
      if (!is_triple && peek() == '\n') break;
      if (peek() != quote || (is_triple && (peek(1) != quote || peek(2) != quote))) continue;
      const std::string text(text_.substr(begin, at_ - begin));
      at_ += is_triple ? 3 : 1;
      return text;
    }
    at_ = std::min(at_, text_.size());  // behind a last backslash
    stop("has a string that does not end");
    return {};
  }

  void call(const std::string& name, int depth) {
    PythonCall found = {name};
    ++at_;
    for (size_t position = 0;;) {
      skip_spaces();
      if (ends()) return stop("has a ( that does not end");
      if (peek() == ')') break;
      if (peek() == ',' || peek() == ':' || peek() == ']' || peek() == '}') {
        ++at_;
        continue;
      }
      std::string key = keyword();
      if (key.empty()) key = std::to_string(position++);
      found.arguments.members.push_back({key, expression(depth + 1, false)});
    }
    ++at_;
    if (file_.calls.size() < kMaxCalls) file_.calls.push_back(std::move(found));
  }

  /// The `name=` before an argument, taken off; nothing where there is none.
  std::string keyword() {
    size_t end = at_;
    while (end < text_.size() && name_part(text_[end])) ++end;
    size_t equals = end;
    while (equals < text_.size() && text_[equals] == ' ') ++equals;
    if (end == at_ || !name_start(peek()) || equals >= text_.size() || text_[equals] != '=' ||
        (equals + 1 < text_.size() && text_[equals + 1] == '='))
      return {};
    const std::string name(text_.substr(at_, end - at_));
    at_ = equals + 1;
    return name;
  }

  Value expression(int depth, bool ends_with_line) {
    if (depth > kMaxDepth) return stop("is nested deeper than a script"), Value();
    if (ends_with_line)
      while (peek() == ' ' || peek() == '\t') ++at_;
    else
      skip_spaces();
    const size_t begin = at_;
    std::optional<Value> value;
    if (peek() == '"' || peek() == '\'')
      value = text_value(string());
    else if (peek() == '[' || peek() == '(')
      value = list(depth);
    else if (peek() == '{')
      value = dict(depth);
    const size_t end_of_literal = at_;
    rest(depth, ends_with_line);
    const std::string_view text = trimmed(text_.substr(begin, at_ - begin));
    const bool alone = trimmed(text_.substr(end_of_literal, at_ - end_of_literal)).empty();
    return value && alone ? *value : plain(text);
  }

  /// Passes over what is left of an expression; calls within are read.
  void rest(int depth, bool ends_with_line) {
    while (!ends()) {
      const char c = peek();
      if (c == ',' || c == ')' || c == ']' || c == '}' || (c == ':' && !ends_with_line) ||
          ((c == '\n' || c == '#') && ends_with_line))
        return;
      if (c == '#') {
        skip_comment();
      } else if (c == '"' || c == '\'') {
        (void)string();
      } else if (c == '[' || c == '(') {
        (void)list(depth);
      } else if (c == '{') {
        (void)dict(depth);
      } else if (name_start(c)) {
        const std::string name = dotted_name();
        if (peek() == '(') {
          if (depth >= kMaxDepth) return stop("is nested deeper than a script");
          call(name, depth + 1);
        }
      } else {
        ++at_;
      }
    }
  }

  Value list(int depth) {
    Value value = {.kind = Kind::kList};
    const char close = peek() == '[' ? ']' : ')';
    for (++at_;;) {
      skip_spaces();
      if (ends()) return stop("has a bracket that does not end"), value;
      if (peek() == close) break;
      if (peek() == ',' || peek() == ':' || peek() == ')' || peek() == ']' || peek() == '}')
        ++at_;
      else
        value.items.push_back(expression(depth + 1, false));
    }
    ++at_;
    return value;
  }

  Value dict(int depth) {
    Value value = {.kind = Kind::kObject};
    std::string key;
    for (++at_;;) {
      skip_spaces();
      if (ends()) return stop("has a { that does not end"), value;
      if (peek() == '}') break;
      if (peek() == ',' || peek() == ')' || peek() == ']') {
        ++at_;
        continue;
      }
      if (peek() == ':') {
        ++at_;
        value.members.push_back({key, expression(depth + 1, false)});
        continue;
      }
      key = expression(depth + 1, false).string;
    }
    ++at_;
    return value;
  }

  /// A word, a number or arithmetic of them; else what it is written as.
  Value plain(std::string_view text) const {
    if (text == "True" || text == "False") return {.kind = Kind::kBool, .boolean = text == "True"};
    if (text == "None" || text.empty()) return {};
    const auto value_of = [&](std::string_view name) -> std::optional<int64_t> {
      const Value* value = file_.names.find(name);
      return value != nullptr && value->kind == Kind::kInteger ? std::optional(value->integer) : std::nullopt;
    };
    if (const Value* value = file_.names.find(text)) return *value;
    if (const auto number = evaluate_integer(text, value_of))
      return {.kind = Kind::kInteger, .integer = *number, .real = static_cast<double>(*number)};
    if (text.find_first_not_of("0123456789.eE+-_") == std::string_view::npos) {
      const std::string digits(text);
      char* end = nullptr;
      const double number = std::strtod(digits.c_str(), &end);
      if (end == digits.c_str() + digits.size()) return {.kind = Kind::kReal, .real = number};
    }
    return text_value("$" + std::string(text.substr(0, 100)));
  }

  std::string_view text_;
  size_t at_ = 0;
  PythonFile file_;
  std::optional<Error> error_;
};

}  // namespace

Result<PythonFile> read_python(std::string_view text) {
  if (text.size() > kPythonMaxBytes)
    return Error("", "is larger than " + std::to_string(kPythonMaxBytes >> 20) + " MiB", "is this the right file?");
  return Reader(text).read();
}

}  // namespace peakmem
