// What was asked for: options as text, and how their values are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "size/result.h"

namespace peakmem {

/// An option that was asked for, its value as text ("" or "true" for a flag that is set, "false" for one that is not).
struct OptionValue {
  std::string name;
  std::string text;
};
/// Everything that was asked for, in order.
using OptionValues = std::vector<OptionValue>;

/// A whole number from 1 on; digits may be grouped with `_` or `,`, and of lengths `4k` is 4096. `field` names the
/// option in the error.
Result<int64_t> parse_size(std::string_view given, std::string_view field);
/// A share such as `5%` or `0.05`, from 0 to below 1.
Result<double> parse_share(std::string_view text, std::string_view field);
/// Whether the text is a symbol rather than a number: a letter, then letters, digits, `_` and `\`.
bool is_symbol(std::string_view text);

/// The entries of "batch,seq"; one where there is no comma.
std::vector<std::string> entries_of(std::string_view text);

/// An option taken out of options; empty where it is not among them. Of those that are given twice the first.
std::optional<std::string> take_option(OptionValues& options, std::string_view name);
/// Every option of that name taken out.
void drop_option(OptionValues& options, std::string_view name);

/// The values of checked options.
class Options {
 public:
  explicit Options(const OptionValues& values) : values_(values) {}

  /// The text given, or null.
  const std::string* text(std::string_view name) const;
  bool has(std::string_view name) const { return text(name) != nullptr; }
  bool flag(std::string_view name) const;
  /// The entries of a text given as "a,b"; none where nothing is.
  std::vector<std::string> list(std::string_view name) const;
  /// The number given; none where nothing or a symbol is.
  std::optional<int64_t> size(std::string_view name) const;

 private:
  const OptionValues& values_;
};

}  // namespace peakmem
