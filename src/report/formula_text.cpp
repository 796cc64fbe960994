#include "report/formula_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "report/text.h"
#include "request/options.h"
#include "size/bytes.h"

namespace peakmem {
namespace {

constexpr size_t kBytes = 12;

/// Writes formulas of one report in one notation.
class FormulaPage {
 public:
  FormulaPage(const FormulaReport& report, const Request& request, const FormulaChoices& choices, const Style& style)
      : report_(report), request_(request), choices_(choices), page_(style) {
    options_ = {choices.notation, request.letters, report.traced->symbol_values()};
  }

  std::string text() && {
    page_.line(page_.strong(request_.name) + " · " + recipe_line(request_.job));
    write_symbols();
    write_short();
    write_peak();
    write_terms();
    write_parts();
    write_phases("Tensors at the highest of each phase, in bytes", report_.phases);
    write_phases("Peaks that would win at other sizes", report_.rivals);
    write_dimensions();
    write_crossings();
    write_assumptions();
    return std::move(page_).text();
  }

 private:
  std::string written(Expr formula) const { return print(formula, options_); }

  void write_symbols() {
    std::string text;
    for (const SymbolLine& line : symbol_lines(report_, request_))
      text += (text.empty() ? "" : " · ") + line.letters + " = " + grouped(line.value) + " (" + line.meaning + ")";
    page_.paragraph("", text);
  }

  void write_short() {
    if (!choices_.simplify) return;
    const Simplified less = simplify(report_.peak.bytes, report_.traced->symbol_values(), *choices_.simplify);
    page_.heading("Peak, short: at these sizes " + percent(less.error, 2) + " off");
    page_.paragraph("  ", written(less.kept));
    page_.line(page_.faint("  " + std::to_string(less.dropped) + " terms dropped, of at most " +
                           percent(*choices_.simplify) + " of the peak together"));
  }

  void write_peak() {
    page_.heading("Peak, exact: " + in_binary_units(report_.peak.value) + " (" + grouped(report_.peak.value) +
                  " bytes)");
    page_.paragraph("  ", written(report_.peak.bytes));
    if (!report_.peak.at.empty()) page_.line(page_.faint("  in " + report_.peak.at));
  }

  void write_parts() {
    if (report_.parts.empty()) return;
    page_.heading("By what it is for");
    size_t names = 0;
    for (const FormulaOf& part : report_.parts) names = std::max(names, columns(part.name));
    for (const FormulaOf& part : report_.parts)
      page_.paragraph("  " + left(part.name, names) + right(in_binary_units(part.value), kBytes) + "  ",
                      written(part.bytes));
  }

  void write_terms() {
    const std::vector<Term> all = terms(report_.peak.bytes, report_.traced->symbol_values());
    Pool* pool = report_.peak.bytes.pool();
    if (pool == nullptr) return;
    page_.heading("By term");
    const double total = std::max(1.0, static_cast<double>(report_.peak.value));
    for (const Term& term : all)
      page_.line("  " + left(written(formula_of(term, *pool)), 34) + right(bytes_text(term.value), kBytes) +
                 right(percent(term.value / total, 2), 10) + "  " + page_.bar_of(term.value / total, 20));
  }

  static std::string bytes_text(double bytes) {
    const bool fits = bytes > -9e18 && bytes < 9e18;
    return fits ? in_binary_units(static_cast<int64_t>(bytes)) : "n/a";
  }

  void write_phases(const char* title, const std::vector<FormulaOf>& phases) {
    if (phases.empty()) return;
    page_.heading(title);
    for (const FormulaOf& phase : phases) {
      const std::string where = phase.at.empty() ? "" : page_.faint(", " + phase.at);
      page_.line("  " + page_.strong(phase.name) + " of step " + std::to_string(phase.step) + ": " +
                 in_binary_units(phase.value) + where);
      page_.paragraph("    ", written(phase.bytes));
    }
  }

  void write_dimensions() {
    page_.heading("What each size does");
    page_.line(page_.faint("  " + left("", 6) + right("value", 10) + right("power", 8) + right("share", 10) +
                           right("doubled", 14)));
    for (const Dimension& each : dimensions(report_)) {
      const double factor =
          static_cast<double>(each.doubled_bytes) / std::max(1.0, static_cast<double>(report_.peak.value));
      std::string times = std::to_string(factor);
      times.resize(std::min(times.size(), times.find('.') + 3));
      page_.line("  " + left(letters_of(each.symbol), 6) + right(grouped(each.value), 10) +
                 right(std::to_string(each.power), 8) + right(percent(each.share), 10) +
                 right(in_binary_units(each.doubled_bytes), 14) + "  ×" + times);
    }
  }

  std::string letters_of(const std::string& symbol) const {
    const auto letters = request_.letters.find(symbol);
    return letters == request_.letters.end() ? symbol : letters->second;
  }

  void write_crossings() {
    const std::vector<CrossingLine> lines = crossings(report_, request_.letters);
    if (lines.empty()) return;
    page_.heading("Where they cross");
    for (const CrossingLine& line : lines) page_.paragraph("  ", line.text);
  }

  void write_assumptions() {
    if (request_.assumptions.empty()) return;
    std::string text;
    for (const std::string& line : request_.assumptions) text += (text.empty() ? "" : " · ") + line;
    page_.heading("Taken for granted");
    page_.paragraph("  ", text);
  }

  const FormulaReport& report_;
  const Request& request_;
  const FormulaChoices& choices_;
  PrintOptions options_;
  Page page_;
};

std::string distance(const Textbook& row) {
  if (!(row.reference > 0)) return "n/a";
  std::string times = std::to_string(row.bytes / row.reference);
  times.resize(std::min(times.size(), times.find('.') + 4));
  return times + " of it";
}

/// A formula's own value where that is no number of bytes: `5.06e+09 elements`.
std::string printed_value(const Textbook& row) {
  std::array<char, 32> digits = {};
  const int length = std::snprintf(digits.data(), digits.size(), "%.4g", row.printed);
  return std::string(digits.data(), static_cast<size_t>(std::max(length, 0))) + " " + row.unit;
}

std::string real_bytes(double bytes) {
  const bool fits = bytes >= 0 && bytes < 9e18;
  return fits ? in_binary_units(static_cast<int64_t>(bytes)) : "n/a";
}

}  // namespace

std::vector<SymbolLine> symbol_lines(const FormulaReport& report, const Request& request) {
  std::vector<SymbolLine> lines;
  const auto add = [&](std::string_view symbol, std::string_view meaning) {
    const int32_t index = report.traced->pool().symbol_index(symbol);
    if (index < 0) return;
    const auto letters = request.letters.find(symbol);
    lines.push_back({std::string(symbol), letters == request.letters.end() ? std::string(symbol) : letters->second,
                     std::string(meaning), report.traced->symbol_values()[static_cast<size_t>(index)]});
  };
  for (const OptionRow& row : option_rows())
    if (!row.symbol.empty()) add(row.symbol, row.name);
  const auto positions = request.letters.find("P");
  const auto tokens = request.letters.find("T");  // a table as long as the sequence has its letter
  const bool same =
      positions != request.letters.end() && tokens != request.letters.end() && positions->second == tokens->second;
  if (!same) add("P", "positions");
  add("E", "experts");
  return lines;
}

std::string formula_text(const FormulaReport& report, const Request& request, const FormulaChoices& choices,
                         const Style& style) {
  return FormulaPage(report, request, choices, style).text();
}

std::string textbook_text(std::span<const Textbook> rows, const Request& request, const FormulaChoices& choices,
                          const Style& style) {
  Page page(style);
  page.line(page.strong(request.name) + " · " + recipe_line(request.job));
  for (const Textbook& row : rows) {
    page.heading(row.name);
    page.paragraph("  ", choices.notation == Notation::kLatex ? row.latex : row.formula);
    const bool bytes = row.unit.empty() || row.unit == "bytes";
    page.line("  " + left("it gives", 12) + right(real_bytes(row.bytes), kBytes) +
              (bytes ? "" : "  from " + printed_value(row)));
    page.paragraph("  " + left("the trace", 12) + right(real_bytes(row.reference), kBytes) + "  ", row.reference_of);
    page.line("  " + left("so it is", 12) + right(distance(row), kBytes));
    page.paragraph("  assumes: ", row.assumptions);
    page.paragraph("  source:  ", row.source);
  }
  return std::move(page).text();
}

}  // namespace peakmem
