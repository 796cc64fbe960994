#include "estimate/moment_formulas.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "device/cublas.h"

namespace peakmem {
namespace {

/// How many storages of every size live at a moment, and whether cuBLAS's workspaces are there.
struct LiveSizes {
  std::vector<int64_t> counts;
  bool workspaces = false;

  bool has_at_least(const LiveSizes& other) const {
    if (other.workspaces && !workspaces) return false;
    for (size_t i = 0; i < counts.size(); ++i)
      if (counts[i] < other.counts[i]) return false;
    return true;
  }
};

/// Formulas of one pool in another, where the letters that stay are numbers.
class Substitution {
 public:
  Substitution(const Pool& from, const std::vector<int64_t>& values, const std::vector<std::string>& swept, Pool& to)
      : from_(from), values_(values), to_(to) {
    for (const std::string& letter : swept)
      if (const int32_t index = from.symbol_index(letter); index >= 0)
        swept_.emplace_back(letter), values_[static_cast<size_t>(index)] = 0;
  }

  Expr operator()(Expr formula) {
    if (!formula.is_formula()) return formula;
    const auto [known, is_new] = known_.try_emplace(formula.node());
    if (is_new) known->second = sum(from_.polynomial(formula.node()));
    return known->second;
  }

 private:
  Expr sum(const Polynomial& terms) {
    Expr sum = 0;
    for (const auto& [monomial, coefficient] : terms) {
      Expr above = coefficient;
      Expr below = monomial.divisor;
      for (const auto& [atom, power] : monomial.powers)
        for (int32_t i = 0; i < std::abs(power); ++i) (power > 0 ? above : below) *= atom_of(atom);
      sum += is_one(below) ? above : exact_div(above, below);
    }
    return sum;
  }

  Expr atom_of(int32_t index) {
    const Atom& atom = from_.atom(index);
    switch (atom.kind) {
      case Atom::Kind::kSymbol:
        break;
      case Atom::Kind::kCeilDiv:
        return ceil_div((*this)(atom.left), (*this)(atom.right));
      case Atom::Kind::kExactDiv:
        return exact_div((*this)(atom.left), (*this)(atom.right));
      case Atom::Kind::kMost:
        return most((*this)(atom.left), (*this)(atom.right));
      case Atom::Kind::kLeast:
        return least((*this)(atom.left), (*this)(atom.right));
      case Atom::Kind::kPowerOfTwo:
        return power_of_two((*this)(atom.left));
    }
    const int64_t value = values_[static_cast<size_t>(from_.symbol_index(atom.name))];
    return value > 0 ? Expr(value) : to_.symbol(atom.name);
  }

  const Pool& from_;
  std::vector<int64_t> values_;  // 0: varies
  Pool& to_;
  std::vector<std::string> swept_;
  std::map<int32_t, Expr> known_;
};

/// The moments of a program that may have the most, by what lives there.
class Moments {
 public:
  explicit Moments(size_t sizes) : now_(sizes) {}

  void change(size_t size, int64_t count) { now_[size] += count; }
  std::vector<int64_t>& now() { return now_; }

  void add(bool workspaces) {
    LiveSizes moment = {now_, workspaces};
    for (const LiveSizes& other : found_)
      if (other.has_at_least(moment)) return;
    std::erase_if(found_, [&](const LiveSizes& other) { return moment.has_at_least(other); });
    found_.push_back(std::move(moment));
  }
  const std::vector<LiveSizes>& found() const { return found_; }

 private:
  std::vector<int64_t> now_;
  std::vector<LiveSizes> found_;
};

/// The sizes of a program's storages, each once, as the allocator counts them.
struct Sizes {
  std::vector<size_t> of_storage;
  std::vector<Expr> blocks;
};

Sizes sizes_of(const Program& program, Substitution& put_in) {
  Sizes sizes;
  std::map<uint64_t, size_t> places;
  for (const Storage& storage : program.storages) {
    const Expr bytes = storage.on_host ? Expr(0) : put_in(storage.bytes);
    const auto [place, is_new] = places.try_emplace(bytes.key(), sizes.blocks.size());
    if (is_new) sizes.blocks.push_back(round_up(bytes, 512));
    sizes.of_storage.push_back(place->second);
  }
  return sizes;
}

/// One turn of a segment from where it stands; `adds` looks at its moments.
void turn(const Program& program, const Segment& segment, const Sizes& sizes, bool workspaces, bool adds,
          Moments& moments) {
  for (int32_t i = segment.first; i < segment.last; ++i) {
    const Event& event = program.events[static_cast<size_t>(i)];
    moments.change(sizes.of_storage[static_cast<size_t>(event.storage)], event.birth ? 1 : -1);
    const bool ends = i + 1 == segment.last || !program.events[static_cast<size_t>(i) + 1].birth;
    if (adds && event.birth && ends) moments.add(workspaces);
  }
}

/// All turns of a segment: the first and the last have its moments.
void run(const Program& program, const Segment& segment, int64_t turns, const Sizes& sizes, bool workspaces,
         Moments& moments) {
  if (turns <= 0) return;
  const std::vector<int64_t> before = moments.now();
  turn(program, segment, sizes, workspaces, true, moments);
  if (turns == 1) return;
  std::vector<int64_t>& now = moments.now();
  for (size_t i = 0; i < now.size(); ++i) now[i] += (now[i] - before[i]) * (turns - 2);
  turn(program, segment, sizes, workspaces, true, moments);
}

std::optional<std::vector<LiveSizes>> moments_of(const Program& program, const Sizes& sizes, Substitution& put_in) {
  Moments moments(sizes.blocks.size());
  for (const Phase& phase : program.phases) {
    const bool workspaces = phase.step > 0;
    moments.add(workspaces);
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const Expr turns = put_in(program.turns[static_cast<size_t>(segment.turn)].count);
      if (!turns.is_number()) return std::nullopt;
      run(program, segment, turns.number(), sizes, workspaces, moments);
    }
  }
  return moments.found();
}

/// The bytes of moments as formulas, without those that another one surely has at least as much as.
std::vector<Expr> formulas_of(const std::vector<LiveSizes>& moments, const Sizes& sizes, int64_t workspaces) {
  std::vector<Expr> formulas;
  for (const LiveSizes& moment : moments) {
    Expr sum = moment.workspaces ? workspaces : 0;
    for (size_t i = 0; i < moment.counts.size(); ++i)
      if (moment.counts[i] != 0) sum += Expr(moment.counts[i]) * sizes.blocks[i];
    if (std::any_of(formulas.begin(), formulas.end(), [&](Expr other) { return surely_at_least(other, sum); }))
      continue;
    std::erase_if(formulas, [&](Expr other) { return surely_at_least(sum, other); });
    formulas.push_back(sum);
  }
  return formulas;
}

}  // namespace

std::optional<std::vector<Expr>> moment_formulas(const TracedJob& traced, const std::vector<std::string>& swept,
                                                 const Gpu* gpu, Pool& pool) {
  Substitution put_in(traced.pool(), traced.symbol_values(), swept, pool);
  const Sizes sizes = sizes_of(traced.program(), put_in);
  const std::optional<std::vector<LiveSizes>> moments = moments_of(traced.program(), sizes, put_in);
  if (!moments) return std::nullopt;
  return formulas_of(*moments, sizes, cublas_handles(traced.program()) * cublas_workspace_bytes(gpu));
}

}  // namespace peakmem
