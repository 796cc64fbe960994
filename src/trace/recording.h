// A step that was traced elsewhere: its program, with sizes that are formulas of letters, and when they hold.
//
// It stands in a file (docs/trace-format.md) where a model and a recipe stand else: put values to the letters, and the
// program is one as trace_step() makes it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "size/result.h"
#include "trace/program.h"

namespace peakmem {

/// A letter of the formulas, and the value it was traced at.
struct Letter {
  std::string name;
  int64_t value = 1;
  std::string meaning;  // for people
  std::string option;   // the option that sets it, if there is one
  bool fixed = false;   // which ops run depends on it, so that it has no other value
};

/// One side of a guard: a formula, or the rest of dividing it.
struct GuardSide {
  Expr formula;
  Expr modulus = 0;  // 0: the formula itself
};

/// A condition on the letters outside of which other ops would run.
struct Guard {
  enum class Relation : uint8_t { kEqual, kUnequal, kAtMost, kAtLeast, kBelow, kAbove };
  std::string text;
  GuardSide left;
  Relation relation = Relation::kEqual;
  GuardSide right;
};

/// The same steps with every turn of a repeat written out, as the allocator's replay wants them.
struct WrittenOut {
  Program program;
  bool whole = true;         // else only the first layers are
  std::vector<bool> pinned;  // by letter: with another value of it this is another program
};

/// Texts by name, in the order they came.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

/// A recorded trace. Programs' names point into `texts`; it is made once and shared.
struct Recording {
  std::string name;
  std::string made_by;
  std::string gpu;  // by name; empty: an A100's kernels
  std::string alloc_conf;
  std::string structure;
  std::string optimizer;  // where the optimizer's state is said to come from
  int64_t world_size = 1;
  NamedTexts versions;
  NamedTexts made_of;
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
  std::shared_ptr<Pool> pool = std::make_shared<Pool>();
  std::vector<Letter> letters;  // in the order of the pool's symbols
  std::vector<Guard> guards;
  Program program;
  std::optional<WrittenOut> written_out;  // none where the program repeats nothing, or nobody wrote it
  std::deque<std::string> texts;

  /// Whether no turn of the program stands for several.
  bool repeats_nothing() const;
  std::vector<int64_t> values() const;
};

/// The program with these in place of the letters, in their order: numbers, or symbols of one other pool.
Program program_of(const Recording& recording, const std::vector<Expr>& letters, bool written_out);

/// Whether there is something to replay at the letters' values, and whether that is all of the layers.
bool can_be_replayed(const Recording& recording, const std::vector<int64_t>& values);
bool is_whole(const Recording& recording);

/// What is wrong with other values of the letters: a guard, a size that is none, too many turns. The Error's `field` is
/// the letter or the member of the file.
std::optional<Error> check_values(const Recording& recording, const std::vector<int64_t>& values);
/// Whether the guards hold there.
bool guards_hold(const Recording& recording, const std::vector<int64_t>& values);

}  // namespace peakmem
