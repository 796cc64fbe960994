#include "request/option_checks.h"

#include <algorithm>

#include "request/gpu_choice.h"
#include "request/words.h"
#include "size/nearest.h"
#include "size/wording.h"

namespace peakmem {
namespace {

std::string dashed(std::string_view name) { return "--" + std::string(name); }

Error unknown_option(std::string_view name, Command command) {
  std::vector<std::string_view> known;
  for (const OptionRow& row : option_rows())
    if (takes(command, row)) known.push_back(row.name);
  const auto near = nearest(name, known);
  const std::string_view other = hint_for_option(name);
  const std::string hint = !other.empty() ? std::string(other)
                           : near         ? "did you mean " + dashed(*near) + "?"
                                          : "peakmem --help-all lists the options";
  return {dashed(name.substr(0, 60)), "is no option here", hint};
}

/// One card, or several with commas between them.
std::optional<Error> check_gpus(std::string_view text) {
  const std::vector<std::string> names = gpus_of(text);
  for (size_t i = 0; i < names.size(); ++i) {
    const Result<GpuChoice> choice = parse_gpu(names[i]);
    if (!choice) return choice.error();
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i))
      return Error{"--gpu", in_quotes(names[i]) + " is named twice", "name it once"};
  }
  return std::nullopt;
}

std::optional<Error> check_choice(const OptionRow& row, std::string_view text,
                                  std::span<const std::string_view> letters);

/// Two unknowns, "batch,seq".
std::optional<Error> check_pair(const OptionRow& row, std::string_view text,
                                std::span<const std::string_view> letters) {
  const std::vector<std::string> names = entries_of(text);
  if (names.size() != 2)
    return Error{"--for", "is one unknown or two, is " + in_quotes(text), "such as --for batch,seq"};
  for (const std::string& name : names)
    if (auto wrong = check_choice(row, name, letters)) return wrong;
  return std::nullopt;
}

/// Options that are varied together.
std::optional<Error> check_axes(const OptionRow& row, std::string_view text,
                                std::span<const std::string_view> letters) {
  for (const std::string& name : entries_of(text))
    if (auto wrong = check_choice(row, name, letters)) return wrong;
  return std::nullopt;
}

std::optional<Error> check_choice(const OptionRow& row, std::string_view text,
                                  std::span<const std::string_view> letters) {
  if (row.name == "gpu") return check_gpus(text);
  if (row.name == "over" && text.find(',') != std::string_view::npos) return check_axes(row, text, letters);
  if (row.name == "for" && text.find(',') != std::string_view::npos) return check_pair(row, text, letters);
  std::vector<std::string_view> known = row.choices();
  if (row.name == "for" || row.name == "over") known.insert(known.end(), letters.begin(), letters.end());
  if (std::find(known.begin(), known.end(), text) != known.end()) return std::nullopt;
  return Error{dashed(row.name), in_quotes(text) + " is not known", did_you_mean(text, known)};
}

std::optional<Error> check_flag(const OptionRow& row, std::string_view text) {
  if (text.empty() || text == "true" || text == "false") return std::nullopt;
  return Error{dashed(row.name), "takes no value, has " + in_quotes(text), {}};
}

std::optional<Error> check_size(const OptionRow& row, std::string_view text, Command command) {
  if (command == Command::kFormula && !row.symbol.empty() && is_symbol(text)) return std::nullopt;
  const Result<int64_t> size = parse_size(text, dashed(row.name));
  return size ? std::nullopt : std::optional(size.error());
}

std::optional<Error> check_value(const OptionRow& row, std::string_view text, Command command,
                                 std::span<const std::string_view> letters) {
  switch (row.kind) {
    case OptionKind::kSize:
      return check_size(row, text, command);
    case OptionKind::kChoice:
      return check_choice(row, text, letters);
    case OptionKind::kFlag:
      return check_flag(row, text);
    case OptionKind::kText:
    case OptionKind::kFile:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> check_options(const OptionValues& values, Command command,
                                   std::span<const std::string_view> letters) {
  for (size_t i = 0; i < values.size(); ++i) {
    const OptionRow* row = find_option(values[i].name);
    if (row == nullptr || !takes(command, *row)) return unknown_option(values[i].name, command);
    for (size_t j = 0; j < i; ++j)
      if (values[j].name == values[i].name) return Error{dashed(row->name), "is given twice", "give it once"};
    if (auto wrong = check_value(*row, values[i].text, command, letters)) return wrong;
  }
  return std::nullopt;
}

}  // namespace peakmem
