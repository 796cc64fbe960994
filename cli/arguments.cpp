#include "arguments.h"

#include <algorithm>

#include "request/words.h"
#include "size/nearest.h"

namespace peakmem::cli {
namespace {

/// Sorts words into options with their values and operands; the table of options says which take a value. The command
/// may come last, so what it does not take is found once it is known.
class Parser {
 public:
  explicit Parser(const CommandRow* row) { arguments_.row = row; }

  Result<Arguments> parse(const std::vector<std::string>& words) {
    for (next_ = 0; next_ < words.size();)
      if (auto wrong = take(words)) return *wrong;
    if (arguments_.row == nullptr) arguments_.row = &command_rows()[0];
    if (!unknown_.empty()) return unknown_option();
    arguments_.options = in_our_words(std::move(arguments_.options));
    return std::move(arguments_);
  }

 private:
  std::optional<Error> take(const std::vector<std::string>& words) {
    const std::string& word = words[next_++];
    if (only_operands_ || word.size() < 2 || word[0] != '-') {
      take_operand(word);
    } else if (word == "--") {
      only_operands_ = true;
    } else if (word == "-h" || word == "--help") {
      arguments_.help = true;
    } else if (word == "--help-all") {
      arguments_.help_all = true;
    } else if (word == "--version") {
      arguments_.version = true;
    } else {
      return take_option(word, words);
    }
    return std::nullopt;
  }

  void take_operand(const std::string& word) {
    const bool may_be_command = !only_operands_ && arguments_.row == nullptr;
    const CommandRow* row = may_be_command ? find_command(word) : nullptr;
    if (row != nullptr)
      arguments_.row = row;
    else
      arguments_.operands.push_back(word);
  }

  std::optional<Error> take_option(const std::string& word, const std::vector<std::string>& words) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const OptionRow* row = name.starts_with("--") ? find_option(name.substr(2)) : nullptr;
    if (row == nullptr) {
      if (unknown_.empty()) unknown_ = name;
    } else if (equals < word.size()) {
      arguments_.options.push_back({std::string(row->name), word.substr(equals + 1)});
    } else if (row->kind == OptionKind::kFlag) {
      arguments_.options.push_back({std::string(row->name), {}});
    } else {
      if (next_ == words.size() || is_next_option(*row, words[next_]))
        return Error{name, "needs a value", "peakmem --help shows examples"};
      arguments_.options.push_back({std::string(row->name), words[next_++]});
    }
    return std::nullopt;
  }

  /// Whether a word behind an option is the next one rather than its value; a text may well be `--clip-grad`.
  static bool is_next_option(const OptionRow& row, std::string_view word) {
    return row.kind != OptionKind::kText && word.starts_with("--");
  }

  Error unknown_option() const {
    const std::string name = unknown_.substr(0, 60);
    std::vector<std::string_view> known = {"help", "help-all", "version"};
    for (const OptionRow& option : option_rows())
      if (takes(arguments_.row->command, option)) known.push_back(option.name);
    const auto near = nearest(name.substr(std::min(name.find_first_not_of('-'), name.size())), known);
    const std::string_view other = hint_for_option(name.substr(std::min(name.find_first_not_of('-'), name.size())));
    if (!other.empty()) return {name, "is no option", other};
    return {name, "is no option",
            near ? "did you mean --" + std::string(*near) + "?" : "peakmem --help-all lists the options"};
  }

  Arguments arguments_;
  size_t next_ = 0;
  bool only_operands_ = false;
  std::string unknown_;  // the first option that is in no table
};

}  // namespace

Result<Arguments> parse_words(const CommandRow& row, const std::vector<std::string>& words) {
  return Parser(&row).parse(words);
}

Result<Arguments> parse_arguments(const std::vector<std::string>& words) { return Parser(nullptr).parse(words); }

}  // namespace peakmem::cli
