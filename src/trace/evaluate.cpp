#include "trace/evaluate.h"

#include <optional>

namespace peakmem {
namespace {

/// Sizes and turn counts as numbers.
struct Numbers {
  std::vector<Level> storages;
  std::vector<int64_t> turns;
  bool overflow = false;

  Numbers(const Program& program, const std::vector<int64_t>& values) {
    storages.reserve(program.storages.size());
    for (const Storage& storage : program.storages) {
      const int64_t bytes = value_of(storage.bytes, values);
      overflow = overflow || bytes < 0 || bytes > INT64_MAX - 512;
      storages.push_back({of_tensor(storage, bytes), overflow ? 0 : of_allocator(storage, bytes)});
    }
    for (const Turn& turn : program.turns) {
      const int64_t count = value_of(turn.count, values);
      overflow = overflow || count == Expr::kNoNumber;
      turns.push_back(count);
    }
  }
};

/// A level that notices when it leaves 63 bits.
struct Running {
  Level level;
  bool overflow = false;

  void add(const Level& change) {
    overflow |= __builtin_add_overflow(level.tensors, change.tensors, &level.tensors) ||
                __builtin_add_overflow(level.blocks, change.blocks, &level.blocks);
  }
  void subtract(const Level& change) {
    overflow |= __builtin_sub_overflow(level.tensors, change.tensors, &level.tensors) ||
                __builtin_sub_overflow(level.blocks, change.blocks, &level.blocks);
  }
  void add(const Level& change, int64_t times) {
    Level product;
    overflow |= __builtin_mul_overflow(change.tensors, times, &product.tensors) ||
                __builtin_mul_overflow(change.blocks, times, &product.blocks);
    add(product);
  }
};

/// What one turn of a segment does to the level: where it leads, how high it gets on the way and after which event.
struct Motion {
  Running change;
  Level highest;
  int32_t tensors_at = -1;
  int32_t blocks_at = -1;
};

Motion motion_of(const Program& program, const Numbers& numbers, const Segment& segment) {
  Motion motion;
  for (int32_t i = segment.first; i < segment.last; ++i) {
    const Event& event = program.events[static_cast<size_t>(i)];
    const Level& bytes = numbers.storages[static_cast<size_t>(event.storage)];
    if (!event.birth) {
      motion.change.subtract(bytes);
      continue;
    }
    motion.change.add(bytes);
    const Level& level = motion.change.level;
    if (level.tensors > motion.highest.tensors) motion.highest.tensors = level.tensors, motion.tensors_at = i;
    if (level.blocks > motion.highest.blocks) motion.highest.blocks = level.blocks, motion.blocks_at = i;
  }
  return motion;
}

void raise(Peak& peak, int64_t bytes, const Moment& at) {
  if (bytes > peak.bytes) peak = {bytes, at};
}

/// One turn: `at` is its first moment.
void climb(const Motion& motion, Moment at, Running& running, PhaseLevels& levels) {
  Running top = running;
  top.add(motion.highest);
  running.overflow = top.overflow || motion.change.overflow;
  if (running.overflow) return;
  at.event = motion.tensors_at;
  raise(levels.tensors, top.level.tensors, at);
  at.event = motion.blocks_at;
  raise(levels.blocks, top.level.blocks, at);
}

/// One segment, all its turns: the last lies (turns - 1) changes above the first.
void run(const Motion& motion, int64_t turns, Moment at, Running& running, PhaseLevels& levels) {
  if (turns <= 0) return;
  climb(motion, at, running, levels);
  if (turns > 1) {
    running.add(motion.change.level, turns - 1);
    at.last_turn = true;
    climb(motion, at, running, levels);
  }
  running.add(motion.change.level);
}

}  // namespace

Result<Timeline> evaluate(const Program& program, const std::vector<int64_t>& values) {
  const Numbers numbers(program, values);
  std::vector<Motion> motions;
  motions.reserve(program.segments.size());
  for (const Segment& segment : program.segments) motions.push_back(motion_of(program, numbers, segment));
  Running running;
  Timeline timeline;
  timeline.reserve(program.phases.size());
  for (size_t p = 0; p < program.phases.size() && !numbers.overflow; ++p) {
    const Phase& phase = program.phases[p];
    const auto place = static_cast<int32_t>(p);
    const Moment before = {place, -1, -1, false};
    PhaseLevels levels = {running.level, {}, {running.level.tensors, before}, {running.level.blocks, before}};
    for (int32_t s = phase.first_segment; s < phase.last_segment && !running.overflow; ++s) {
      const int64_t turns = numbers.turns[static_cast<size_t>(program.segments[static_cast<size_t>(s)].turn)];
      run(motions[static_cast<size_t>(s)], turns, {place, s, -1, false}, running, levels);
    }
    levels.end = running.level;
    timeline.push_back(levels);
  }
  if (numbers.overflow || running.overflow)
    return Error{"sizes", "a product of the sizes passes 2^63 bytes", "check batch, sequence and the config's sizes"};
  return timeline;
}

Peak highest(const Program& program, const Timeline& timeline, int32_t step, Peak PhaseLevels::* which) {
  std::optional<Peak> highest;  // the first of the step's phases, where nothing is alive in any
  for (size_t p = 0; p < timeline.size(); ++p) {
    const Peak& peak = timeline[p].*which;
    if (program.phases[p].step == step && (!highest || peak.bytes > highest->bytes)) highest = peak;
  }
  return highest.value_or(Peak());
}

std::vector<Expr> live_counts(const Program& program, const Moment& at) {
  std::vector<Expr> counts(program.storages.size(), Expr(0));
  for (int32_t p = 0; p <= at.phase; ++p) {
    const Phase& phase = program.phases[static_cast<size_t>(p)];
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      if (p == at.phase && (at.segment < 0 || s > at.segment)) return counts;
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const Expr turns = program.turns[static_cast<size_t>(segment.turn)].count;
      const bool here = p == at.phase && s == at.segment;
      const Expr before = !here ? turns : (at.last_turn ? turns - 1 : Expr(0));  // whole turns done
      for (int32_t i = segment.first; i < segment.last; ++i) {
        const Event& event = program.events[static_cast<size_t>(i)];
        const Expr times = here && i <= at.event ? before + 1 : before;
        counts[static_cast<size_t>(event.storage)] += event.birth ? times : Expr(-1) * times;
      }
    }
  }
  return counts;
}

}  // namespace peakmem
