#include "arguments.h"

#include <algorithm>

#include "CLI/CLI.hpp"
#include "size/nearest.h"

namespace peakmem::cli {
namespace {

/// An option as CLI11 collects it: every value given, so that one given twice is seen.
struct Slot {
  const OptionRow* row = nullptr;
  std::vector<std::string> texts;
};

/// CLI11 fed from the table of options.
class Parser {
 public:
  explicit Parser(const CommandRow& row) : row_(row) {
    app_.set_help_flag("");
    app_.allow_extras();
    app_.add_flag("-h,--help", arguments_.help);
    app_.add_flag("--version", arguments_.version);
    app_.add_option("OPERANDS", arguments_.operands);
    slots_.reserve(option_rows().size());
    for (const OptionRow& option : option_rows())
      if (takes(row.command, option)) add(option);
  }

  Result<Arguments> parse(std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    try {
      app_.parse(std::move(words));
    } catch (const CLI::ArgumentMismatch& error) {
      const std::string_view what = error.what();  // "--batch: 1 required TEXT missing"
      return Error{std::string(what.substr(0, what.find(':'))), "needs a value", "peakmem --help shows examples"};
    } catch (const CLI::ParseError& error) {
      return Error{"", error.what(), "peakmem --help shows examples"};
    }
    collect();
    for (const std::string& word : app_.remaining())
      if (word.size() > 1 && word[0] == '-' && word != "--") return unknown_option(word);
    arguments_.row = &row_;
    return std::move(arguments_);
  }

 private:
  void add(const OptionRow& option) {
    Slot& slot = slots_.emplace_back(Slot{&option});
    const std::string name = "--" + std::string(option.name);
    if (option.kind == OptionKind::kFlag)
      app_.add_flag(name, slot.texts);
    else
      app_.add_option(name, slot.texts)
          ->type_size(1)
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  void collect() {
    for (const Slot& slot : slots_) {
      const std::string name(slot.row->name);
      for (const std::string& text : slot.texts) arguments_.options.push_back({name, text});
    }
  }

  Error unknown_option(std::string_view word) const {
    const std::string name(word.substr(0, word.find('=')).substr(0, 60));
    std::vector<std::string_view> known = {"help", "version"};
    for (const Slot& slot : slots_) known.push_back(slot.row->name);
    const auto near = nearest(name.substr(std::min(name.find_first_not_of('-'), name.size())), known);
    const OptionRow* elsewhere = find_option(name.substr(std::min<size_t>(2, name.size())));
    if (elsewhere != nullptr) return {name, "is no option of this command", "peakmem --help lists the options"};
    return {name, "is no option",
            near ? "did you mean --" + std::string(*near) + "?" : "peakmem --help lists the options"};
  }

  const CommandRow& row_;
  CLI::App app_;
  Arguments arguments_;
  std::vector<Slot> slots_;
};

}  // namespace

Result<Arguments> parse_words(const CommandRow& row, std::vector<std::string> words) {
  return Parser(row).parse(std::move(words));
}

Result<Arguments> parse_arguments(int count, const char* const* words) {
  std::vector<std::string> rest(words + std::min(count, 1), words + count);
  const CommandRow* command = rest.empty() ? nullptr : find_command(rest[0]);
  if (command == nullptr) return parse_words(command_rows()[0], std::move(rest));
  rest.erase(rest.begin());
  return parse_words(*command, std::move(rest));
}

}  // namespace peakmem::cli
