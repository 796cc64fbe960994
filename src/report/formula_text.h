// Formulas for people and for programs.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "estimate/formula.h"
#include "report/page.h"
#include "request/request.h"

namespace peakmem {

/// How formulas are asked for.
struct FormulaChoices {
  Notation notation = Notation::kText;
  std::optional<double> simplify;  // the share of the peak that may be dropped
};

/// The formulas of a job: the peak exact and by term, phases, rivals, dimensions, crossings.
std::string formula_text(const FormulaReport& report, const Request& request, const FormulaChoices& choices,
                         const Style& style);
std::string formula_json(const FormulaReport& report, const Request& request, const FormulaChoices& choices);

/// The formulas in circulation beside the trace.
std::string textbook_text(std::span<const Textbook> rows, const Request& request, const FormulaChoices& choices,
                          const Style& style);
std::string textbook_json(std::span<const Textbook> rows, const Request& request);

/// A symbol of the formulas, the letters it is shown by, what it is and its value.
struct SymbolLine {
  std::string symbol;
  std::string letters;
  std::string meaning;
  int64_t value = 0;
};
std::vector<SymbolLine> symbol_lines(const FormulaReport& report, const Request& request);

}  // namespace peakmem
