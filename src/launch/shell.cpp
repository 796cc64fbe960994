#include "launch/shell.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <set>

#include "launch/arithmetic.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Words = std::vector<std::string>;

constexpr std::array<std::string_view, 8> kFlow = {"if", "for", "while", "until", "case", "function", "select", "[["};
constexpr std::array<std::string_view, 8> kBrackets = {"then", "else", "elif", "do", "done", "fi", "{", "}"};
constexpr std::array<std::string_view, 5> kDeclare = {"export", "local", "readonly", "declare", "typeset"};
constexpr int kMaxDepth = 16;

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool name_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// The words of what is expanded outside of quotes.
Words split(std::string_view text) {
  Words words;
  for (size_t begin = text.find_first_not_of(" \t\n"); begin < text.size();) {
    const size_t end = std::min(text.find_first_of(" \t\n", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(" \t\n", end);
  }
  return words;
}

/// Words as they come of one word of the script: expansions outside of quotes may be none or several.
struct Fields {
  Words done;
  std::string last;
  bool open = false;  // `last` is a word, also where it is empty

  void add(std::string_view text) {
    last += text;
    open = true;
  }
  void add_split(std::string_view text) {
    if (text.empty()) return;
    const Words words = split(text);
    if (blank(text.front()) && open) finish();
    for (size_t i = 0; i < words.size(); ++i) {
      if (i > 0) finish();
      add(words[i]);
    }
    if (blank(text.back()) && open) finish();
  }
  void finish() {
    if (open) done.push_back(std::move(last));
    last.clear();
    open = false;
  }
};

/// Reads a script statement by statement; variables hold lists, a plain one a list of one.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<ShellScript> read() {
    while (at_ < text_.size() && !error_) statement();
    if (error_) return *error_;
    script_.unresolved.assign(unresolved_.begin(), unresolved_.end());
    return std::move(script_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool ends() const { return at_ >= text_.size() || error_.has_value(); }

  void stop(std::string_view problem) {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(begin_), '\n');
    if (!error_) error_ = Error("line " + std::to_string(line), problem, "is the text cut off?");
  }

  /// What stands for what is not known: it is named, and its place kept.
  std::string unknown(std::string_view name) {
    unresolved_.insert("$" + std::string(name.substr(0, 60)));
    return "$" + std::string(name);
  }

  void skip_blanks() {
    for (;;) {
      if (blank(peek()))
        ++at_;
      else if (peek() == '\\' && peek(1) == '\n')
        at_ += 2;
      else
        return;
    }
  }

  /// One statement: assignments alone set variables, in front of a command they are its environment.
  void statement() {
    ShellCommand command;
    bool declares = false;
    for (;;) {
      skip_blanks();
      const char c = peek();
      if (ends() || c == '\n' || c == ';' || c == '&' || c == '|' || c == ')') break;
      if (c == '#') {
        while (!ends() && peek() != '\n') ++at_;
        continue;
      }
      if (c == '<' || c == '>') {
        redirection();
        continue;
      }
      begin_ = at_;
      if ((command.words.empty() || declares) && assignment(command, declares)) continue;
      const Words words = word();
      if (command.words.empty() && words.size() == 1 && is_one_of(words[0], kDeclare))
        declares = true;
      else if (command.words.empty() && words.size() == 1 && is_one_of(words[0], kBrackets))
        continue;
      else if (!declares)
        command.words.insert(command.words.end(), words.begin(), words.end());
      if (command.words.size() > kShellMaxWords) stop("has more words than a script");
      if (error_) return;
    }
    if (at_ < text_.size()) ++at_;
    finish(std::move(command));
  }

  void finish(ShellCommand command) {
    if (command.words.empty()) return;
    if (is_one_of(command.words[0], kFlow)) {
      unresolved_.insert(command.words[0]);
      return;
    }
    std::vector<std::pair<std::string, std::string>> all = exported_;
    all.insert(all.end(), command.environment.begin(), command.environment.end());
    command.environment = std::move(all);
    words_ += command.words.size();
    if (words_ > kShellMaxWords) return stop("has more words than a script");
    script_.commands.push_back(std::move(command));
  }

  /// `> file`, `2>&1`, `<< EOF`: nothing of it is a word of the command.
  void redirection() {
    while (peek() == '<' || peek() == '>' || peek() == '&') ++at_;
    skip_blanks();
    begin_ = at_;
    (void)word();
  }

  /// NAME=…, NAME+=…, NAME=( … ): whether there is one.
  bool assignment(ShellCommand& command, bool exports) {
    size_t end = at_;
    if (!name_start(peek())) return false;
    while (end < text_.size() && name_part(text_[end])) ++end;
    const bool appends = text_.substr(end).starts_with("+=");
    if (!appends && !text_.substr(end).starts_with("=")) return false;
    const std::string name(text_.substr(at_, end - at_));
    at_ = end + (appends ? 2 : 1);
    Words values = appends ? variables_[name] : Words();
    if (peek() == '(') {
      const Words more = array();
      values.insert(values.end(), more.begin(), more.end());
    } else {
      std::string text = joined(word());
      values = {appends && !values.empty() ? values[0] + text : text};
    }
    words_ += values.size();
    if (words_ > kShellMaxWords) stop("has more words than a script");
    const std::string plain = values.empty() ? "" : values[0];
    variables_[name] = std::move(values);
    command.environment.emplace_back(name, plain);
    if (exports) exported_.emplace_back(name, plain);
    return true;
  }

  Words array() {
    Words words;
    for (++at_; !ends();) {
      skip_blanks();
      begin_ = at_;
      if (peek() == ')') {
        ++at_;
        return words;
      }
      if (peek() == '\n' || peek() == ';')
        ++at_;
      else if (peek() == '#')
        while (!ends() && peek() != '\n') ++at_;
      else if (peek() == '(' || peek() == '&' || peek() == '|' || peek() == '<' || peek() == '>')
        return stop("has a list that is none"), words;
      else
        for (std::string& each : word()) words.push_back(std::move(each));
      if (words.size() > kShellMaxWords) return stop("has more words than a script"), words;
    }
    stop("has a ( that does not end");
    return words;
  }

  static std::string joined(const Words& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
  }

  /// The words that the next word of the script stands for.
  Words word() {
    Fields fields;
    while (!ends()) {
      const char c = peek();
      if (blank(c) || c == '\n' || c == ';' || c == '|' || c == '&' || c == '(' || c == ')') break;
      if (c == '<' || c == '>') {  // the digit before it is a file's number
        if (fields.last.find_first_not_of("0123456789") == std::string::npos) fields = {};
        break;
      }
      if (c == '\'')
        single_quoted(fields);
      else if (c == '"')
        double_quoted(fields);
      else if (c == '\\')
        escaped(fields);
      else if (c == '$' || c == '`')
        dollar(fields, false);
      else
        fields.add(text_.substr(at_++, 1));
      if (fields.done.size() > kShellMaxWords) stop("has more words than a script");
    }
    if (peek() == '(' && !error_) stop("calls what only a shell can");
    fields.finish();
    return std::move(fields.done);
  }

  void escaped(Fields& fields) {
    if (peek(1) != '\n' && peek(1) != '\0') fields.add(text_.substr(at_ + 1, 1));
    at_ = std::min(at_ + 2, text_.size());
  }

  void single_quoted(Fields& fields) {
    const size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return stop("has a ' that does not end");
    fields.add(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
  }

  void double_quoted(Fields& fields) {
    fields.add("");
    for (++at_; !ends();) {
      const char c = peek();
      if (c == '"') {
        ++at_;
        return;
      }
      if (c == '$' || c == '`')
        dollar(fields, true);
      else if (c == '\\' && (peek(1) == '"' || peek(1) == '\\' || peek(1) == '$' || peek(1) == '\n'))
        escaped(fields);
      else
        fields.add(text_.substr(at_++, 1));
    }
    stop("has a \" that does not end");
  }

  static void give(Fields& fields, const Words& values, bool quoted) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) fields.finish();
      if (quoted)
        fields.add(values[i]);
      else
        fields.add_split(values[i]);
    }
  }

  /// Text up to the bracket that ends what began before `at_`.
  std::string_view enclosed(char open, char close) {
    const size_t begin = at_;
    for (int depth = 1; at_ < text_.size(); ++at_) {
      depth += peek() == open ? 1 : peek() == close ? -1 : 0;
      if (depth == 0) return text_.substr(begin, at_++ - begin);
    }
    stop(std::string("has a ") + open + " that does not end");
    return {};
  }

  void dollar(Fields& fields, bool quoted) {
    if (peek() == '`') {
      ++at_;
      const size_t end = std::min(text_.find('`', at_), text_.size());
      const std::string_view inner = text_.substr(at_, end - at_);
      at_ = std::min(end + 1, text_.size());
      return give(fields, {command_value(inner)}, quoted);
    }
    ++at_;
    if (peek() == '(' && peek(1) == '(') {
      at_ += 2;
      const std::string_view inner = enclosed('(', ')');
      if (peek() == ')') ++at_;
      return give(fields, {arithmetic(inner)}, quoted);
    }
    if (peek() == '(') {
      ++at_;
      return give(fields, {command_value(enclosed('(', ')'))}, quoted);
    }
    if (peek() == '{') {
      ++at_;
      return give(fields, braced(enclosed('{', '}')), quoted);
    }
    size_t end = at_;
    while (end < text_.size() && name_part(text_[end])) ++end;
    if (end == at_ && (peek() == '@' || peek() == '*')) ++end;  // the script's own arguments: none
    const std::string_view name = text_.substr(at_, end - at_);
    at_ = end;
    if (name.empty()) return fields.add("$");
    if (name == "@" || name == "*") return;
    give(fields, value_of(name), quoted);
  }

  Words value_of(std::string_view name) {
    const auto found = variables_.find(std::string(name));
    if (found == variables_.end()) return {unknown(name)};
    return {found->second.empty() ? "" : found->second[0]};
  }

  /// What `${ … }` stands for.
  Words braced(std::string_view inner) {
    size_t end = 0;
    while (end < inner.size() && name_part(inner[end])) ++end;
    const std::string name(inner.substr(0, end));
    const std::string_view rest = inner.substr(end);
    const auto found = variables_.find(name);
    const bool there = found != variables_.end() && !(found->second.size() == 1 && found->second[0].empty());
    if (rest.empty()) return value_of(name);
    if (rest == "[@]" || rest == "[*]") return found == variables_.end() ? Words{unknown(name)} : found->second;
    if (rest.starts_with(":-") || rest.starts_with("-")) {
      if (there) return value_of(name);
      return {expanded(rest.substr(rest[0] == ':' ? 2 : 1))};
    }
    return {unknown(inner)};
  }

  /// A text's own expansions, as in `${NODES:-$N}`.
  std::string expanded(std::string_view text) {
    if (text.find_first_of("$`'\"\\") == std::string_view::npos) return std::string(text);
    if (++depth_ > kMaxDepth) return stop("is nested deeper than a script"), std::string();
    Reader inner(text);
    inner.variables_ = variables_;
    inner.depth_ = depth_;
    std::string value = joined(inner.word());
    unresolved_.insert(inner.unresolved_.begin(), inner.unresolved_.end());
    if (inner.error_) error_ = inner.error_;
    --depth_;
    return value;
  }

  std::string arithmetic(std::string_view text) {
    const auto value_of = [&](std::string_view name) -> std::optional<int64_t> {
      const auto found = variables_.find(std::string(name));
      if (found == variables_.end() || found->second.empty()) return std::nullopt;
      return evaluate_integer(found->second[0], [](std::string_view) { return std::nullopt; });
    };
    const std::optional<int64_t> value = evaluate_integer(text, value_of);
    return value ? std::to_string(*value) : unknown("((" + std::string(text) + "))");
  }

  /// `$(expr 16 / $n)` is arithmetic; no other command is run.
  std::string command_value(std::string_view text) {
    const size_t begin = std::min(text.find_first_not_of(' '), text.size());
    if (text.substr(begin).starts_with("expr ")) return arithmetic(text.substr(begin + 5));
    return unknown("(" + std::string(text.substr(0, 40)) + ")");
  }

  std::string_view text_;
  size_t at_ = 0;
  size_t begin_ = 0;  // of the word at hand
  size_t words_ = 0;
  int depth_ = 0;
  std::map<std::string, Words> variables_;
  std::vector<std::pair<std::string, std::string>> exported_;
  std::set<std::string> unresolved_;
  ShellScript script_;
  std::optional<Error> error_;
};

}  // namespace

Result<ShellScript> read_shell(std::string_view text) {
  if (text.size() > kShellMaxBytes)
    return Error("", "is larger than " + std::to_string(kShellMaxBytes >> 20) + " MiB", "is this the right file?");
  return Reader(text).read();
}

}  // namespace peakmem
