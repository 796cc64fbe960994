#include "format/json_writer.h"
#include "report/formula_text.h"
#include "report/report_json.h"

namespace peakmem {
namespace {

/// Writes the parts of a formula report; every formula as text and as LaTeX.
class FormulaJson {
 public:
  FormulaJson(const FormulaReport& report, const Request& request) : report_(report), request_(request) {
    text_ = {Notation::kText, request.letters, report.traced->symbol_values()};
    latex_ = {Notation::kLatex, request.letters, report.traced->symbol_values()};
    mathml_ = {Notation::kMathml, request.letters, report.traced->symbol_values()};
  }

  std::string write(const FormulaChoices& choices) && {
    begin_answer(out_, "formula", request_);
    write_symbols();
    out_.key("peak");
    write_formula(report_.peak);
    if (choices.simplify) write_short(*choices.simplify);
    write_terms();
    write_list("parts", report_.parts);
    write_list("phases", report_.phases);
    write_list("rivals", report_.rivals);
    write_dimensions();
    write_crossings();
    end_answer(out_, request_);
    return std::move(out_).text();
  }

 private:
  void write_expr(Expr formula) {
    out_.member("formula", print(formula, text_));
    out_.member("latex", print(formula, latex_));
  }

  void write_formula(const FormulaOf& formula) {
    out_.begin_object();
    out_.member("name", formula.name);
    out_.member("step", formula.step);
    out_.member("bytes", formula.value);
    if (!formula.at.empty()) out_.member("at", formula.at);
    write_expr(formula.bytes);
    out_.end_object();
  }

  void write_list(const char* name, const std::vector<FormulaOf>& list) {
    out_.key(name);
    out_.begin_list();
    for (const FormulaOf& formula : list) write_formula(formula);
    out_.end_list();
  }

  void write_symbols() {
    out_.key("symbols");
    out_.begin_list();
    for (const SymbolLine& line : symbol_lines(report_, request_)) {
      out_.begin_object();
      out_.member("symbol", line.symbol);
      out_.member("letters", line.letters);
      out_.member("meaning", line.meaning);
      out_.member("value", line.value);
      out_.end_object();
    }
    out_.end_list();
  }

  void write_short(double share) {
    const Simplified less = simplify(report_.peak.bytes, report_.traced->symbol_values(), share);
    out_.key("short");
    out_.begin_object();
    write_expr(less.kept);
    out_.member("error", less.error);
    out_.member("dropped", static_cast<int64_t>(less.dropped));
    out_.end_object();
  }

  void write_terms() {
    out_.key("terms");
    out_.begin_list();
    Pool* pool = report_.peak.bytes.pool();
    if (pool != nullptr)
      for (const Term& term : terms(report_.peak.bytes, report_.traced->symbol_values())) {
        out_.begin_object();
        write_expr(formula_of(term, *pool));
        out_.member("mathml", print(formula_of(term, *pool), mathml_));
        out_.member("monomial", monomial_text(term, *pool));
        out_.member("bytes", term.value);
        out_.end_object();
      }
    out_.end_list();
  }

  void write_dimensions() {
    out_.key("dimensions");
    out_.begin_list();
    for (const Dimension& each : dimensions(report_)) {
      out_.begin_object();
      out_.member("symbol", each.symbol);
      out_.member("value", each.value);
      out_.member("power", each.power);
      out_.member("share", each.share);
      out_.member("doubled_bytes", each.doubled_bytes);
      out_.end_object();
    }
    out_.end_list();
  }

  void write_crossings() {
    out_.key("crossings");
    out_.begin_list();
    for (const CrossingLine& line : crossings(report_, request_.letters)) {
      out_.begin_object();
      out_.member("text", line.text);
      out_.member("value", line.value);
      out_.end_object();
    }
    out_.end_list();
  }

  const FormulaReport& report_;
  const Request& request_;
  PrintOptions text_;
  PrintOptions latex_;
  PrintOptions mathml_;
  JsonWriter out_;
};

}  // namespace

std::string formula_json(const FormulaReport& report, const Request& request, const FormulaChoices& choices) {
  return FormulaJson(report, request).write(choices);
}

std::string textbook_json(std::span<const Textbook> rows, const Request& request) {
  JsonWriter out;
  out.begin_object();
  out.member("schema", kSchema);
  out.member("model", request.name);
  out.key("textbook");
  out.begin_list();
  for (const Textbook& row : rows) {
    out.begin_object();
    out.member("name", row.name);
    out.member("formula", row.formula);
    out.member("latex", row.latex);
    out.member("source", row.source);
    out.member("assumptions", row.assumptions);
    out.member("bytes", row.bytes);
    out.member("reference_bytes", row.reference);
    out.member("reference_of", row.reference_of);
    out.member("printed", row.printed);
    out.member("unit", row.unit);
    out.end_object();
  }
  out.end_list();
  out.end_object();
  return std::move(out).text();
}

}  // namespace peakmem
