// What the formulas say about sizes: powers, shares, and where one part overtakes another; declared in formula.h.
#include <cmath>
#include <optional>

#include "estimate/formula.h"

namespace peakmem {
namespace {

constexpr int64_t kFar = int64_t{1} << 32;  // no size is looked for beyond

/// Sizes to try and what the program has at them.
class Sizes {
 public:
  explicit Sizes(const FormulaReport& report) : report_(report), sizes_(report.traced->symbol_values()) {}

  const std::vector<int64_t>& job() const { return sizes_; }
  /// The size the job has, none where it is 1 or no size of this family.
  std::optional<int64_t> of(std::string_view symbol) const {
    const int32_t index = report_.traced->pool().symbol_index(symbol);
    if (index < 0) return std::nullopt;
    return sizes_[static_cast<size_t>(index)];
  }
  std::vector<int64_t> with(std::string_view symbol, int64_t size) const {
    std::vector<int64_t> changed = sizes_;
    changed[static_cast<size_t>(report_.traced->pool().symbol_index(symbol))] = size;
    return changed;
  }
  /// The steady step's peak with one size changed; none where sizes do not divide or pass 62 bits.
  std::optional<Peak> peak(std::string_view symbol, int64_t size) const {
    const Program& program = report_.traced->program();
    const Result<Timeline> timeline = evaluate(program, report_.traced->pool().evaluate(with(symbol, size)));
    if (!timeline) return std::nullopt;
    return highest(program, *timeline, 2, &PhaseLevels::tensors);
  }

 private:
  const FormulaReport& report_;
  const std::vector<int64_t>& sizes_;
};

/// The terms with at least that power of the symbol.
Expr terms_with(Expr formula, std::string_view symbol, int32_t power) {
  Expr sum = 0;
  if (!formula.is_formula()) return sum;
  for (const Term& term : terms(formula)) {
    const Expr one = formula_of(term, *formula.pool());
    if (degree(one, symbol).power >= power) sum += one;
  }
  return sum;
}

bool holds(Expr formula, std::string_view symbol) {
  const Degree found = degree(formula, symbol);
  return found.power != 0 || found.approximate;
}

double share_with(Expr formula, std::string_view symbol, const std::vector<int64_t>& sizes) {
  double all = 0;
  double with = 0;
  for (const Term& term : terms(formula, sizes)) {
    all += term.value;
    if (formula.is_formula() && holds(formula_of(term, *formula.pool()), symbol)) with += term.value;
  }
  return all > 0 ? with / all : 0;
}

int64_t doubled(const FormulaReport& report, const Sizes& sizes, const std::string& symbol, int64_t size) {
  const Expr twice = Expr(2) * Expr(size);
  if (twice.overflowed()) return Expr::kNoNumber;
  if (const std::optional<Peak> peak = sizes.peak(symbol, twice.number())) return peak->bytes;
  // Twice as many heads may not divide the hidden size: the formula still says what it would come to.
  double bytes = real_value(report.peak.bytes, sizes.with(symbol, twice.number()));
  for (const FormulaOf& rival : report.rivals)
    bytes = std::fmax(bytes, real_value(rival.bytes, sizes.with(symbol, twice.number())));
  return bytes < 9e18 ? std::llround(bytes) : Expr::kNoNumber;
}

class Crossings {
 public:
  Crossings(const FormulaReport& report, const Letters& letters) : report_(report), letters_(letters), sizes_(report) {}

  std::vector<CrossingLine> lines() {
    scores_overtake();
    activations_overtake();
    head_and_layers();
    for (const char* symbol : {"B", "T", "L", "V"}) peak_moves(symbol);
    return std::move(lines_);
  }

 private:
  std::string name(std::string_view symbol) const {
    const auto letters = letters_.find(symbol);
    return letters == letters_.end() ? std::string(symbol) : letters->second;
  }
  std::string is(std::string_view symbol, int64_t size) const { return name(symbol) + " = " + std::to_string(size); }

  /// From where on the trace has the structure that the peak's formula stands for.
  static int64_t smallest(std::string_view symbol) { return symbol == "L" ? 4 : 2; }

  // Sizes rounded up to whole tiles move in steps; where that leaves the answer open, the sizes before rounding decide.
  Crossing cross(Expr a, Expr b, std::string_view symbol, int64_t low, int64_t high) const {
    const Crossing exact = crossing(a, b, symbol, sizes_.job(), low, high);
    if (exact.kind != Crossing::Kind::kUnknown) return exact;
    return crossing(without_rounding(a), without_rounding(b), symbol, sizes_.job(), low, high);
  }

  /// "from T = 1543 on, a is more than b": nothing if that never comes.
  void add(Expr a, Expr b, std::string_view symbol, const std::string& what, const std::string& than) {
    const std::optional<int64_t> here = sizes_.of(symbol);
    if (!here || identical(a, 0)) return;
    const Crossing found = cross(a, b, symbol, 1, kFar);
    if (found.kind != Crossing::Kind::kAt) return;
    const bool always = found.value == 1;
    const std::string from =
        always ? "at every " + name(symbol) : "from " + is(symbol, found.value) + " on" + tokens(symbol, found.value);
    lines_.push_back({from + ", " + what + " more than " + than + beyond_table(symbol, found.value), found.value});
  }

  /// Batch and sequence weigh alike where no term has T²; their product is what readers compare.
  std::string tokens(std::string_view symbol, int64_t value) const {
    const std::optional<int64_t> batch = symbol == "B" ? value : sizes_.of("B");
    const std::optional<int64_t> seq = symbol == "T" ? value : sizes_.of("T");
    if ((symbol != "B" && symbol != "T") || !batch || !seq) return {};
    return " (" + name("B") + "·" + is("T", *batch * *seq) + " at " +
           (symbol == "B" ? is("T", *seq) : is("B", *batch)) + ")";
  }

  std::string beyond_table(std::string_view symbol, int64_t value) const {
    const std::optional<int64_t> positions = sizes_.of("P");
    if (symbol != "T" || !positions || value <= *positions) return {};
    return "; this model's table of positions ends at " + std::to_string(*positions);
  }

  // With T the peak may move to another moment, whose terms then count.
  void scores_overtake() {
    const std::optional<int64_t> here = sizes_.of("T");
    if (!here) return;
    Expr peak = report_.peak.bytes;
    for (int round = 0; round < 4; ++round) {
      const Expr scores = terms_with(peak, "T", 2);
      const Crossing found = cross(scores, peak - scores, "T", smallest("T"), kFar);
      if (identical(scores, 0) || found.kind != Crossing::Kind::kAt) break;
      const Expr winner = winner_at("T", found.value);
      if (identical(winner, peak)) {
        add(scores, peak - scores, "T", "attention scores and masks (terms with " + name("T") + "²) are",
            "all the rest of the peak");
        break;
      }
      peak = winner;
    }
    const Expr kept = terms_with(report_.kept_by_layers.bytes, "T", 2);
    add(kept, report_.kept_by_layers.bytes - kept, "T", "attention scores kept by the layers are",
        "all else the layers keep");
  }

  /// The highest of the report's moments there.
  Expr winner_at(std::string_view symbol, int64_t size) const {
    const std::vector<int64_t> sizes = sizes_.with(symbol, size);
    Expr winner = report_.peak.bytes;
    for (const FormulaOf& rival : report_.rivals)
      if (real_value(rival.bytes, sizes) > real_value(winner, sizes)) winner = rival.bytes;
    return winner;
  }

  void activations_overtake() {
    const Expr kept = report_.kept_by_layers.bytes + report_.kept_by_rest.bytes;
    for (const char* symbol : {"B", "T"})
      add(kept, report_.states.bytes, symbol, "what is kept for the backward pass is",
          "weights, gradients and optimizer state");
  }

  void head_and_layers() {
    const Expr head = report_.head.bytes;
    if (identical(head, 0)) return;
    add(report_.kept_by_layers.bytes, head, "L", "what the layers keep is", "logits and loss at their most");
    add(head, report_.kept_by_layers.bytes, "V", "logits and loss at their most are", "what the layers keep");
  }

  /// The nearest size above and below the job's from which on another moment is the peak.
  void peak_moves(std::string_view symbol) {
    const std::optional<int64_t> here = sizes_.of(symbol);
    if (!here) return;
    const FormulaOf* above = nullptr;
    const FormulaOf* below = nullptr;
    int64_t from = kFar;
    int64_t until = smallest(symbol);
    for (const FormulaOf& rival : report_.rivals) {
      const Crossing up = cross(rival.bytes, report_.peak.bytes, symbol, *here + 1, kFar);
      if (up.kind == Crossing::Kind::kAt && up.value < from) above = &rival, from = up.value;
      const Crossing down = cross(report_.peak.bytes, rival.bytes, symbol, smallest(symbol), *here);
      if (down.kind == Crossing::Kind::kAt && down.value > until) below = &rival, until = down.value;
    }
    if (below != nullptr) add_move("below " + is(symbol, until), *below, until);
    if (above != nullptr) add_move("from " + is(symbol, from) + " on", *above, from);
  }

  void add_move(const std::string& where, const FormulaOf& to, int64_t value) {
    lines_.push_back({where + " the peak lies in " + to.name + ", " + to.at + "; here in " + report_.peak.at, value});
  }

  const FormulaReport& report_;
  const Letters& letters_;
  Sizes sizes_;
  std::vector<CrossingLine> lines_;
};

}  // namespace

std::vector<Dimension> dimensions(const FormulaReport& report) {
  std::vector<Dimension> found;
  const Pool& pool = report.traced->pool();
  const Sizes sizes(report);
  const size_t atoms = pool.atoms();  // asking adds formulas, not symbols
  for (size_t i = 0; i < atoms; ++i) {
    const Atom atom = pool.atom(static_cast<int32_t>(i));
    if (atom.kind != Atom::Kind::kSymbol) continue;
    const int64_t size = *sizes.of(atom.name);
    found.push_back({atom.name, size, degree(report.peak.bytes, atom.name).power,
                     share_with(report.peak.bytes, atom.name, sizes.job()), doubled(report, sizes, atom.name, size)});
  }
  return found;
}

std::vector<CrossingLine> crossings(const FormulaReport& report, const Letters& letters) {
  return Crossings(report, letters).lines();
}

}  // namespace peakmem
