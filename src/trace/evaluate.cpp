#include "trace/evaluate.h"

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
      storages.push_back({bytes, overflow ? 0 : in_blocks(bytes)});
    }
    for (const Turn& turn : program.turns) {
      const int64_t count = value_of(turn.count, values);
      overflow = overflow || count == Expr::overflow().number();
      turns.push_back(count);
    }
  }
};

/// A level that notices when it leaves 63 bits.
struct Running {
  Level level;
  bool overflow = false;

  void add(const Level& change, int64_t times) {
    add(level.tensors, change.tensors, times);
    add(level.blocks, change.blocks, times);
  }
  void add(int64_t& to, int64_t change, int64_t times) {
    int64_t product = 0;
    overflow = overflow || __builtin_mul_overflow(change, times, &product) || __builtin_add_overflow(to, product, &to);
  }
};

void raise(Peak& peak, int64_t bytes, const Moment& at) {
  if (bytes > peak.bytes) peak = {bytes, at};
}

/// One segment, all its turns: the first is walked, the last lies (turns - 1) changes above it.
void walk(const Program& program, const Numbers& numbers, const Moment& in, Running& running, PhaseLevels& levels) {
  const Segment& segment = program.segments[static_cast<size_t>(in.segment)];
  const int64_t turns = numbers.turns[static_cast<size_t>(segment.turn)];
  if (turns <= 0) return;
  const Level start = running.level;
  Peak tensors{start.tensors, in};
  Peak blocks{start.blocks, in};
  for (int32_t i = segment.first; i < segment.last; ++i) {
    const Event& event = program.events[static_cast<size_t>(i)];
    running.add(numbers.storages[static_cast<size_t>(event.storage)], event.birth ? 1 : -1);
    if (!event.birth) continue;
    raise(tensors, running.level.tensors, {in.phase, in.segment, i, false});
    raise(blocks, running.level.blocks, {in.phase, in.segment, i, false});
  }
  const Level change = {running.level.tensors - start.tensors, running.level.blocks - start.blocks};
  raise(levels.tensors, tensors.bytes, tensors.at);
  raise(levels.blocks, blocks.bytes, blocks.at);
  if (turns == 1) return;
  running.add(change, turns - 1);
  tensors.at.last_turn = blocks.at.last_turn = true;
  raise(levels.tensors, tensors.bytes + (turns - 1) * change.tensors, tensors.at);
  raise(levels.blocks, blocks.bytes + (turns - 1) * change.blocks, blocks.at);
}

}  // namespace

Result<Timeline> evaluate(const Program& program, const std::vector<int64_t>& values) {
  const Numbers numbers(program, values);
  Running running;
  Timeline timeline;
  timeline.reserve(program.phases.size());
  for (size_t p = 0; p < program.phases.size() && !numbers.overflow; ++p) {
    const Phase& phase = program.phases[p];
    const Moment before = {static_cast<int32_t>(p), -1, -1, false};
    PhaseLevels levels = {running.level, {}, {running.level.tensors, before}, {running.level.blocks, before}};
    for (int32_t s = phase.first_segment; s < phase.last_segment && !running.overflow; ++s)
      walk(program, numbers, {static_cast<int32_t>(p), s, -1, false}, running, levels);
    levels.end = running.level;
    timeline.push_back(levels);
  }
  if (numbers.overflow || running.overflow)
    return Error{"sizes", "a product of the sizes passes 2^63 bytes", "check batch, sequence and the config's sizes"};
  return timeline;
}

Peak highest(const Program& program, const Timeline& timeline, int32_t step, Peak PhaseLevels::* which) {
  Peak highest;
  for (size_t p = 0; p < timeline.size(); ++p)
    if (program.phases[p].step == step) raise(highest, (timeline[p].*which).bytes, (timeline[p].*which).at);
  return highest;
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
