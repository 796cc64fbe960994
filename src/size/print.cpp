#include "size/print.h"

#include <limits>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "size/notation.h"
#include "size/order.h"

namespace peakmem {
namespace {

using Kind = Piece::Kind;

/// Writes formulas of one pool; the writer knows the notation, the printer what is made of what.
class Printer {
 public:
  Printer(const PrintOptions& options, const Writer& writer) : options_(options), writer_(writer) {}

  Piece formula(Expr e) const {
    if (e.overflowed()) return {writer_.symbol("overflow"), Kind::kFactor};
    const std::vector<WrittenTerm> all = written_terms(e);
    if (all.empty()) return {writer_.number(0), Kind::kFactor};
    if (all.size() == 1 && all.front().term.coefficient > 0) return all.front().piece;
    std::string text;
    for (const auto& [term, symbols, piece] : all) {
      if (term.coefficient > 0) {
        text += (text.empty() ? "" : writer_.plus()) + piece.text;
      } else {
        text += text.empty() ? writer_.negative(piece.text) : writer_.minus() + piece.text;
      }
    }
    return {text, Kind::kSum};
  }

 private:
  /// The factors above and below the line.
  struct Sides {
    std::vector<Piece> over;
    std::vector<Piece> under;
  };

  /// A term, how it is written without its sign, and its symbols as (atom, -power) with a last one after all others: so
  /// T² sorts before T·C, and that before T·⌈T/32⌉.
  struct WrittenTerm {
    Term term;
    std::vector<std::pair<int32_t, int32_t>> symbols;
    Piece piece;
  };

  /// In the order to show. Operations are made in whatever order the code ran, so what is equal otherwise goes by text.
  std::vector<WrittenTerm> written_terms(Expr e) const {
    std::vector<WrittenTerm> all;
    for (Term& term : terms(e, options_.symbol_values)) {
      WrittenTerm written = {std::move(term), {}, {}};
      written.piece = piece_of(e, written.term);
      for (const auto& factor : written.term.monomial.powers) {
        if (is_symbol(e, factor.first)) written.symbols.emplace_back(factor.first, -factor.second);
      }
      written.symbols.emplace_back(std::numeric_limits<int32_t>::max(), 0);
      all.push_back(std::move(written));
    }
    sort_rows(all, [](const WrittenTerm& a, const WrittenTerm& b) {
      if (comes_first(a.term, b.term) || comes_first(b.term, a.term)) return comes_first(a.term, b.term);
      return std::tie(a.symbols, a.piece.text) < std::tie(b.symbols, b.piece.text);
    });
    return all;
  }

  static bool is_symbol(Expr e, int32_t atom) { return e.pool()->atom(atom).kind == Atom::Kind::kSymbol; }

  Piece piece_of(Expr e, const Term& term) const {
    Sides sides;
    const int64_t size = term.coefficient < 0 ? -term.coefficient : term.coefficient;
    if (size != 1) sides.over.push_back({writer_.number(size), Kind::kFactor});
    if (term.monomial.divisor != 1) sides.under.push_back({writer_.number(term.monomial.divisor), Kind::kFactor});
    Sides operations;
    for (const auto& [index, power] : term.monomial.powers) {
      place(e.pool()->atom(index), power, is_symbol(e, index) ? sides : operations);
    }
    append_sorted(sides.over, std::move(operations.over));  // operations read better behind the letters
    append_sorted(sides.under, std::move(operations.under));
    if (sides.under.empty()) return product(sides.over);
    return {writer_.quotient(product(sides.over), product(sides.under)), Kind::kQuotient};
  }

  static void append_sorted(std::vector<Piece>& all, std::vector<Piece> more) {
    sort_rows(more, [](const Piece& a, const Piece& b) { return a.text < b.text; });
    all.insert(all.end(), more.begin(), more.end());
  }

  void place(const Atom& atom, int64_t power, Sides& sides) const {
    std::vector<Piece>& here = power > 0 ? sides.over : sides.under;
    std::vector<Piece>& there = power > 0 ? sides.under : sides.over;
    const int64_t times = power > 0 ? power : -power;
    if (atom.kind == Atom::Kind::kExactDiv) {
      if (!is_one(atom.left)) here.push_back(raised(formula(atom.left), times));
      there.push_back(raised(formula(atom.right), times));
    } else {
      here.push_back(raised({operation(atom), Kind::kFactor}, times));
    }
  }

  Piece raised(const Piece& base, int64_t power) const {
    if (power == 1) return base;
    return {writer_.power(writer_.inside(base, Kind::kFactor), power), Kind::kFactor};
  }

  std::string operation(const Atom& atom) const {
    switch (atom.kind) {
      case Atom::Kind::kSymbol: {
        const auto letters = options_.letters.find(atom.name);
        return writer_.symbol(letters == options_.letters.end() ? atom.name : letters->second);
      }
      case Atom::Kind::kCeilDiv:
        return writer_.ceiling(writer_.quotient(formula(atom.left), formula(atom.right)));
      case Atom::Kind::kMost:
        return either("max", atom);
      case Atom::Kind::kLeast:
        return either("min", atom);
      case Atom::Kind::kPowerOfTwo:
        return writer_.power_of_two(formula(atom.left).text);
      case Atom::Kind::kExactDiv:
        break;
    }
    return {};
  }

  std::string either(const std::string& name, const Atom& atom) const {
    const std::string left = formula(atom.left).text;
    const std::string right = formula(atom.right).text;
    return left < right ? writer_.call(name, left, right) : writer_.call(name, right, left);
  }

  Piece product(const std::vector<Piece>& factors) const {
    if (factors.empty()) return {writer_.number(1), Kind::kFactor};
    if (factors.size() == 1) return factors.front();
    std::string text;
    for (const Piece& factor : factors) {
      text += (text.empty() ? "" : writer_.times()) + writer_.inside(factor, Kind::kProduct);
    }
    return {text, Kind::kProduct};
  }

  const PrintOptions& options_;
  const Writer& writer_;
};

}  // namespace

std::string print(Expr formula, const PrintOptions& options) {
  const std::unique_ptr<Writer> writer = writer_of(options.notation);
  return writer->whole(Printer(options, *writer).formula(formula).text);
}

}  // namespace peakmem
