#include "estimate/op_work.h"

#include <algorithm>
#include <set>

#include "trace/traffic.h"

namespace peakmem {
namespace {

using std::string_view;

/// How many micro-batches the traced one with that number stands for: those up to the next that was traced.
int64_t micro_batches(const Program& program, int32_t micro, int64_t accumulate) {
  if (micro < 0) return 1;
  int64_t next = accumulate;
  for (const Phase& phase : program.phases)
    if (phase.step == 2 && phase.micro > micro) next = std::min<int64_t>(next, phase.micro);
  return next - micro;
}

bool is_counted(const Phase& phase) { return phase.step == 2 && string_view(phase.name) != "evaluate"; }

Pass pass_of(string_view phase) {
  return phase == "forward" || phase == "input" ? Pass::kForward
         : phase == "backward"                  ? Pass::kBackward
                                                : Pass::kUpdate;
}

/// Births of each storage, and the pass in which.
struct Births {
  std::vector<double> times;
  std::vector<Pass> passes;
};

Births births_of(const Program& program, const std::vector<int64_t>& values, int64_t accumulate) {
  Births births = {std::vector<double>(program.storages.size()), std::vector<Pass>(program.storages.size())};
  for (const Phase& phase : program.phases) {
    if (!is_counted(phase)) continue;
    const auto micros = static_cast<double>(micro_batches(program, phase.micro, accumulate));
    for (int32_t s = phase.first_segment; s < phase.last_segment; ++s) {
      const Segment& segment = program.segments[static_cast<size_t>(s)];
      const int64_t turns = value_of(program.turns[static_cast<size_t>(segment.turn)].count, values);
      for (int32_t i = segment.first; i < segment.last; ++i) {
        const Event& event = program.events[static_cast<size_t>(i)];
        if (!event.birth) continue;
        births.times[static_cast<size_t>(event.storage)] += micros * static_cast<double>(turns);
        births.passes[static_cast<size_t>(event.storage)] = pass_of(phase.name);
      }
    }
  }
  return births;
}

/// A work's sizes as numbers.
struct Sizes {
  double batch, heads, rows, columns, inner, width;

  Sizes(const Work& work, const std::vector<int64_t>& values) {
    const auto number = [&](Expr size) { return static_cast<double>(value_of(size, values)); };
    batch = number(work.batch);
    heads = number(work.heads);
    rows = number(work.rows);
    columns = number(work.columns);
    inner = number(work.inner);
    width = number(work.width);
  }
};

/// What a kind of op does: of its own and for the model, in floating-point operations, and elements that it moves.
struct KindRow {
  WorkKind kind;
  double (*flops)(const Sizes&);
  double (*model_flops)(const Sizes&);
  double (*elements)(const Sizes&);
};

double product_flops(const Sizes& s) { return 2 * s.batch * s.rows * s.columns * s.inner; }
double product_elements(const Sizes& s) {
  return s.batch * (s.rows * s.inner + s.inner * s.columns + s.rows * s.columns);
}
double grouped_flops(const Sizes& s) { return 2 * s.rows * s.columns * s.inner; }
double grouped_elements(const Sizes& s) { return s.rows * (s.inner + s.columns) + s.heads * s.inner * s.columns; }
double scores(const Sizes& s) { return 2 * s.batch * s.heads * s.rows * s.columns; }
// Scores of queries and keys, and their product with the values.
double attention_flops(const Sizes& s) { return scores(s) * (s.inner + s.width); }
double attention_elements(const Sizes& s) { return s.batch * s.heads * (s.rows + s.columns) * (s.inner + s.width); }
// Five products: the scores again, the gradients of the weights, of values, queries and keys (FlashAttention,
// arXiv:2205.14135, algorithm 4); for the model the first is none.
double attention_backward_flops(const Sizes& s) { return scores(s) * (3 * s.inner + 2 * s.width); }
double attention_backward_model(const Sizes& s) { return scores(s) * (2 * s.inner + 2 * s.width); }
double attention_backward_elements(const Sizes& s) { return 2 * attention_elements(s); }

constexpr std::array<KindRow, 4> kKinds = {
    {{WorkKind::kProduct, product_flops, product_flops, product_elements},
     {WorkKind::kGroupedProduct, grouped_flops, grouped_flops, grouped_elements},
     {WorkKind::kAttention, attention_flops, attention_flops, attention_elements},
     {WorkKind::kAttentionBackward, attention_backward_flops, attention_backward_model, attention_backward_elements}}};

bool is_attention(WorkKind kind) { return kind == WorkKind::kAttention || kind == WorkKind::kAttentionBackward; }

OpWork op_of(const Work& work, const Storage& storage, const std::vector<int64_t>& values) {
  const KindRow& row = kKinds[static_cast<size_t>(work.kind)];
  const Sizes sizes(work, values);
  OpWork op;
  op.what = is_attention(work.kind) ? OpClass::kAttention : OpClass::kProduct;
  op.dtype = storage.dtype;
  op.storage = work.storage;
  op.flops = row.flops(sizes) * (work.causal ? 0.5 : 1);
  op.model_flops = work.again ? 0 : row.model_flops(sizes);
  op.bytes = row.elements(sizes) * static_cast<double>(size_of(storage.dtype));
  return op;
}

/// Whether making a storage is an op that takes time on the card: not what is kept, sent, or a kernel's own.
bool is_op(const Storage& storage) {
  switch (storage.category) {
    case Category::kWeights:
    case Category::kOptimizer:
    case Category::kInputs:
    case Category::kBuffers:
    case Category::kWorkspace:
      return false;
    case Category::kGradients:
    case Category::kActivations:
    case Category::kTemporaries:
      return storage.stream == Stream::kMain;
  }
  return false;
}

}  // namespace

std::vector<double> steady_births(const Program& program, const std::vector<int64_t>& values, int64_t accumulate) {
  return births_of(program, values, accumulate).times;
}

std::vector<OpWork> steady_work(const Program& program, const std::vector<int64_t>& values, int64_t accumulate) {
  const Births births = births_of(program, values, accumulate);
  std::vector<OpWork> ops;
  std::set<string_view> multiplying;  // whatever else they make is in their bytes
  for (const Work& work : program.works) {
    const auto place = static_cast<size_t>(work.storage);
    multiplying.insert(program.storages[place].made_by);
    if (births.times[place] == 0) continue;
    OpWork& op = ops.emplace_back(op_of(work, program.storages[place], values));
    op.pass = work.again ? Pass::kAgain : births.passes[place];
    op.times = births.times[place];
  }
  for (size_t i = 0; i < program.storages.size(); ++i) {
    const Storage& storage = program.storages[i];
    if (births.times[i] == 0 || births.passes[i] == Pass::kUpdate || !is_op(storage) ||
        multiplying.contains(storage.made_by))
      continue;
    const auto bytes = static_cast<double>(value_of(storage.bytes, values));
    ops.push_back({.pass = births.passes[i],
                   .dtype = storage.dtype,
                   .storage = static_cast<int32_t>(i),
                   .bytes = bytes * (1 + reads_of(storage.made_by)),
                   .times = births.times[i]});
  }
  return ops;
}

double steady_bytes(const Program& program, const std::vector<int64_t>& values, int64_t accumulate,
                    std::string_view made_by) {
  const std::vector<double> times = steady_births(program, values, accumulate);
  double bytes = 0;
  for (size_t i = 0; i < times.size(); ++i)
    if (times[i] > 0 && program.storages[i].made_by == made_by)
      bytes += times[i] * static_cast<double>(value_of(program.storages[i].bytes, values));
  return bytes;
}

}  // namespace peakmem
