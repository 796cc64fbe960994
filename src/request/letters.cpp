#include "request/letters.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

using Names = std::vector<std::string_view>;

/// Every symbol a trace may use.
Names symbols() {
  Names names = {"P", "E"};  // a learned table's positions, experts: no options of their own
  for (const OptionRow& row : option_rows())
    if (!row.symbol.empty()) names.push_back(row.symbol);
  return names;
}

bool is_small(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return std::islower(static_cast<unsigned char>(c)) != 0; });
}

bool is_taken(const Letters& letters, std::string_view text) {
  return std::any_of(letters.begin(), letters.end(), [&](const auto& entry) { return entry.second == text; });
}

/// Letters of sizes that were given as symbols.
Letters letters_of_sizes(const Options& asked) {
  Letters letters;
  for (const OptionRow& row : option_rows()) {
    const std::string* text = row.symbol.empty() ? nullptr : asked.text(row.name);
    if (text != nullptr && is_symbol(*text)) letters.emplace(row.symbol, *text);
  }
  return letters;
}

void make_others_small(Letters& letters) {
  if (letters.empty()) return;
  for (const auto& [symbol, text] : letters)
    if (!is_small(text)) return;
  for (const std::string_view symbol : symbols()) {
    const std::string small(1, static_cast<char>(std::tolower(static_cast<unsigned char>(symbol[0]))));
    if (!letters.contains(symbol) && !is_taken(letters, small)) letters.emplace(symbol, small);
  }
}

/// One `T=s` of --letters.
std::optional<Error> add_pair(std::string_view pair, const Names& known, Letters& letters) {
  const size_t equals = pair.find('=');
  const std::string_view symbol = pair.substr(0, equals);
  const std::string_view text = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
  if (!is_symbol(text)) return Error{"--letters", in_quotes(pair) + " is no letter", "write them as T=s,B=b"};
  if (std::find(known.begin(), known.end(), symbol) == known.end())
    return Error{"--letters", in_quotes(symbol) + " is no symbol", did_you_mean(symbol, known)};
  letters.insert_or_assign(std::string(symbol), std::string(text));
  return std::nullopt;
}

std::optional<Error> add_pairs(std::string_view text, const Names& known, Letters& letters) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (auto wrong = add_pair(text.substr(0, comma), known, letters)) return wrong;
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return std::nullopt;
}

std::optional<Error> check_distinct(const Names& known, const Letters& letters) {
  for (const std::string_view symbol : known) {
    const auto own = letters.find(symbol);
    const std::string text = own == letters.end() ? std::string(symbol) : own->second;
    for (const auto& [other, letter] : letters)
      if (other != symbol && letter == text)
        return Error{"--letters", "\"" + text + "\" stands for both " + other + " and " + std::string(symbol),
                     "choose other letters"};
  }
  return std::nullopt;
}

}  // namespace

Result<Letters> read_letters(const Options& asked) {
  Letters letters = letters_of_sizes(asked);
  make_others_small(letters);
  return read_letters(asked, symbols(), std::move(letters));
}

Result<Letters> read_letters(const Options& asked, const Names& symbols, Letters letters) {
  if (const std::string* text = asked.text("letters"))
    if (auto wrong = add_pairs(*text, symbols, letters)) return *wrong;
  if (auto wrong = check_distinct(symbols, letters)) return *wrong;
  return letters;
}

}  // namespace peakmem
