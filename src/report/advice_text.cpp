#include "report/advice_text.h"

#include <cmath>

#include "report/text.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 12;
constexpr size_t kShort = 5;

std::string cost_text(Cost cost) { return cost == Cost::kNothing ? "nothing" : std::string(name_of(cost)); }

std::string margin_text(const Suggestion& suggestion) {
  const int64_t margin = suggestion.verdict.capacity_bytes - suggestion.device.likely;
  return in_binary_units(margin < 0 ? -margin : margin) + (margin < 0 ? " too much" : " to spare");
}

std::string flags_text(const Suggestion& suggestion) {
  std::string text;
  for (const Change& change : suggestion.changes) text += (text.empty() ? "" : " ") + change.flags;
  return text.empty() ? "as it is" : text;
}

/// "; about 1.34 times as long a token"
std::string time_text(const Suggestion& suggestion) {
  if (!suggestion.slowdown) return {};
  const auto hundredths = std::llround(*suggestion.slowdown * 100);
  const std::string rest = std::to_string(hundredths % 100);
  return "; a token takes " + std::string(suggestion.pages ? "at least" : "about") + " " +
         std::to_string(hundredths / 100) + "." + (rest.size() < 2 ? "0" : "") + rest + " times as long";
}

void write_suggestion(Page& page, size_t number, const Suggestion& suggestion) {
  page.line();
  page.paragraph(right(std::to_string(number), 3) + "  ", flags_text(suggestion));
  page.line("     " + in_binary_units(suggestion.device.likely) + " on the device, " + margin_text(suggestion) +
            (suggestion.verdict.verdict == "tight" ? " (tight)" : "") + "; costs " + cost_text(suggestion.cost) +
            time_text(suggestion));
  for (const Change& change : suggestion.changes) page.paragraph("     ", change.flags + ": " + change.why);
  for (const std::string& warning : suggestion.warnings) page.paragraph("     note: ", warning);
  if (!suggestion.command.empty()) page.line("     " + suggestion.command);
}

}  // namespace

void write_advice(Page& page, const Advice& advice) {
  if (advice.suggestions.empty() && !advice.nearest) return;
  page.heading(advice.nearest ? "What comes nearest" : "What would make it fit");
  const auto line = [&](const Suggestion& each) {
    page.paragraph("  " + right(in_binary_units(each.device.likely), kBytes) + "  " + left(cost_text(each.cost), 8),
                   flags_text(each) + ": " + margin_text(each));
  };
  if (advice.nearest) line(*advice.nearest);
  for (size_t i = 0; i < advice.suggestions.size() && i < kShort; ++i) line(advice.suggestions[i]);
  page.line("  peakmem advise says what each costs, with the command to copy");
}

std::string advice_text(const Advice& advice, const Style& style) {
  Page page(style);
  const Verdict& verdict = *advice.report.fits;
  const std::string gpu(advice.request.gpu->title);
  page.line(page.strong(advice.request.name) + " on " + gpu + ": " +
            (verdict.fits ? page.good(verdict.verdict) : page.bad(verdict.verdict)));
  page.line(recipe_line(advice.request.job));
  const int64_t margin = verdict.capacity_bytes - advice.report.device.likely;
  page.line(in_binary_units(advice.report.device.likely) + " on the device of " +
            in_binary_units(verdict.capacity_bytes) + ", " + in_binary_units(margin < 0 ? -margin : margin) +
            (margin < 0 ? " too much" : " to spare"));
  if (verdict.fits) page.line("It fits as it is.");
  if (!verdict.fits && advice.request.job.recording)
    page.line("A trace is as it was run: for other changes, trace it with another recipe.");
  if (!advice.suggestions.empty()) page.heading("What would make it fit, the cheapest first");
  for (size_t i = 0; i < advice.suggestions.size(); ++i) write_suggestion(page, i + 1, advice.suggestions[i]);
  if (advice.nearest) {
    page.heading("Nothing that was tried fits; this comes nearest");
    write_suggestion(page, 1, *advice.nearest);
  }
  page.line();
  page.line("Each is as the estimate has it; " + grouped(advice.tried) + " sets of changes were tried.");
  return std::move(page).text();
}

}  // namespace peakmem
