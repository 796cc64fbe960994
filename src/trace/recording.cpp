#include "trace/recording.h"

#include <algorithm>

#include "size/copy.h"
#include "size/print.h"
#include "size/wording.h"

namespace peakmem {
namespace {

constexpr int64_t kMaxLetter = int64_t{1} << 40;
constexpr int64_t kMaxTurns = 1'000'000;  // so that counted events stay in 63 bits

/// What every formula of the recording's pool becomes.
std::vector<Expr> formulas_with(const Recording& recording, const std::vector<Expr>& letters, bool numbers) {
  if (!numbers) return copy_formulas(*recording.pool, letters);
  std::vector<int64_t> values;
  for (const Expr letter : letters) values.push_back(letter.number());
  const std::vector<int64_t> numbers_of = recording.pool->evaluate(values);
  return {numbers_of.begin(), numbers_of.end()};
}

void put_in(Program& program, const std::vector<Expr>& formulas) {
  const auto put = [&](Expr& e) { e = e.is_formula() ? formulas[static_cast<size_t>(e.node())] : e; };
  for (Storage& storage : program.storages) put(storage.bytes);
  for (Turn& turn : program.turns) put(turn.count);
  put(program.trained_parameters);
  put(program.parameters);
  put(program.managed);
}

/// As of a trace in numbers, where a workspace of no bytes is not asked for.
void drop_empty_workspaces(Program& program) {
  const auto is_empty = [&](const Event& event) {
    const Storage& storage = program.storages[static_cast<size_t>(event.storage)];
    return storage.category == Category::kWorkspace && identical(storage.bytes, 0);
  };
  std::vector<int32_t> places;  // of what was at a place, and of the end
  int32_t kept = 0;
  for (const Event& event : program.events) {
    places.push_back(kept);
    if (!is_empty(event)) program.events[static_cast<size_t>(kept++)] = event;
  }
  places.push_back(kept);
  program.events.resize(static_cast<size_t>(kept));
  for (Segment& segment : program.segments) {
    segment.first = places[static_cast<size_t>(segment.first)];
    segment.last = places[static_cast<size_t>(segment.last)];
  }
}

std::string values_text(const Recording& recording, const std::vector<int64_t>& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i)
    add_to_list(text, recording.letters[i].name + " = " + std::to_string(values[i]));
  return text.empty() ? "any letters" : text;
}

std::optional<int64_t> value_of_side(const GuardSide& side, const std::vector<int64_t>& formulas) {
  const int64_t value = value_of(side.formula, formulas);
  if (value == Expr::kNoNumber || identical(side.modulus, 0)) return value;
  const int64_t modulus = value_of(side.modulus, formulas);
  if (modulus <= 0 || value < 0) return std::nullopt;
  return value % modulus;
}

bool holds(const Guard& guard, const std::vector<int64_t>& formulas) {
  const std::optional<int64_t> left = value_of_side(guard.left, formulas);
  const std::optional<int64_t> right = value_of_side(guard.right, formulas);
  if (!left || !right || *left == Expr::kNoNumber || *right == Expr::kNoNumber) return false;
  switch (guard.relation) {
    case Guard::Relation::kEqual:
      return *left == *right;
    case Guard::Relation::kUnequal:
      return *left != *right;
    case Guard::Relation::kAtMost:
      return *left <= *right;
    case Guard::Relation::kAtLeast:
      return *left >= *right;
    case Guard::Relation::kBelow:
      return *left < *right;
    case Guard::Relation::kAbove:
      return *left > *right;
  }
  return false;
}

std::string formula_text(Expr e) {
  return print(e, {.notation = Notation::kAscii, .letters = {}, .symbol_values = {}});
}

/// How often each storage of a program is made, of all steps.
std::vector<int64_t> births(const Program& program, const std::vector<int64_t>& formulas) {
  std::vector<int64_t> counts(program.storages.size(), 0);
  for (const Phase& phase : program.phases)
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const int64_t turns = value_of(program.turns[static_cast<size_t>(segment.turn)].count, formulas);
      for (int32_t i = segment.first; i < segment.last; ++i)
        counts[static_cast<size_t>(program.events[static_cast<size_t>(i)].storage)] += turns;
    }
  return counts;
}

/// A size that is none at these values, or more than can be counted with.
std::optional<Error> check_sizes(const Program& program, const std::vector<int64_t>& formulas, const std::string& at) {
  for (size_t i = 0; i < program.turns.size(); ++i) {
    const int64_t count = value_of(program.turns[i].count, formulas);
    if (count >= 0 && count <= kMaxTurns) continue;
    return Error{"turns[" + std::to_string(i) + "]",
                 formula_text(program.turns[i].count) + " is no number of turns from 0 to a million at " + at,
                 {}};
  }
  const std::vector<int64_t> made = births(program, formulas);
  int64_t all = 0;
  for (size_t i = 0; i < program.storages.size(); ++i) {
    const int64_t bytes = value_of(program.storages[i].bytes, formulas);
    int64_t product = 0;
    if (bytes >= 0 && !__builtin_mul_overflow(made[i], bytes, &product) &&
        !__builtin_add_overflow(all, product, &all) && Expr::fits(all))
      continue;
    return Error{"storages[" + std::to_string(i) + "]",
                 formula_text(program.storages[i].bytes) +
                     (bytes < 0 ? " is no number of bytes at " : " is more than can be counted at ") + at,
                 {}};
  }
  return std::nullopt;
}

std::optional<Error> check_letter(const Letter& letter, int64_t value) {
  if (letter.fixed && value != letter.value)
    return Error{letter.name, "is fixed at " + std::to_string(letter.value) + ": which ops run depends on it",
                 "trace the step again at the other value"};
  if (value < 1 || value > kMaxLetter)
    return Error{letter.name, "must be from 1 to 2^40, is " + std::to_string(value), {}};
  return std::nullopt;
}

}  // namespace

bool Recording::repeats_nothing() const {
  return std::all_of(program.turns.begin(), program.turns.end(),
                     [](const Turn& turn) { return identical(turn.count, 1); });
}

std::vector<int64_t> Recording::values() const {
  std::vector<int64_t> all;
  for (const Letter& letter : letters) all.push_back(letter.value);
  return all;
}

Program program_of(const Recording& recording, const std::vector<Expr>& letters, bool written_out) {
  Program program = written_out && recording.written_out ? recording.written_out->program : recording.program;
  const bool numbers = std::all_of(letters.begin(), letters.end(), [](Expr e) { return e.is_number(); });
  put_in(program, formulas_with(recording, letters, numbers));
  if (numbers) drop_empty_workspaces(program);
  return program;
}

bool is_whole(const Recording& recording) {
  return recording.written_out ? recording.written_out->whole : recording.repeats_nothing();
}

bool can_be_replayed(const Recording& recording, const std::vector<int64_t>& values) {
  if (!recording.written_out) return recording.repeats_nothing();
  for (size_t i = 0; i < values.size(); ++i)
    if (recording.written_out->pinned[i] && values[i] != recording.letters[i].value) return false;
  return true;
}

bool guards_hold(const Recording& recording, const std::vector<int64_t>& values) {
  const std::vector<int64_t> formulas = recording.pool->evaluate(values);
  return std::all_of(recording.guards.begin(), recording.guards.end(),
                     [&](const Guard& guard) { return holds(guard, formulas); });
}

std::optional<Error> check_values(const Recording& recording, const std::vector<int64_t>& values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (auto wrong = check_letter(recording.letters[i], values[i])) return wrong;
  const std::string at = values_text(recording, values);
  const std::vector<int64_t> formulas = recording.pool->evaluate(values);
  for (size_t i = 0; i < recording.guards.size(); ++i)
    if (!holds(recording.guards[i], formulas))
      return Error{"guards[" + std::to_string(i) + "]",
                   in_quotes(recording.guards[i].text) + " does not hold at " + at + ", where other ops run",
                   "trace the step again at these values"};
  if (auto wrong = check_sizes(recording.program, formulas, at)) return wrong;
  if (!recording.written_out || !can_be_replayed(recording, values)) return std::nullopt;
  return check_sizes(recording.written_out->program, formulas, at);
}

}  // namespace peakmem
