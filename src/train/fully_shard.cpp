#include "train/fully_shard.h"

#include "trace/engine.h"

namespace peakmem {
namespace {

/// A shard's sizes: the first dimension over all ranks, rounded up.
Shape shard_of(const Shape& whole, Expr shards) {
  Shape shape = whole;
  shape.size[0] = ceil_div(whole[0], shards);
  return contiguous(shape);
}

/// The innermost module that both scopes are in.
int32_t common(const Program& program, int32_t a, int32_t b) {
  while (a != b) {
    int32_t& inner = a > b ? a : b;  // a module is entered after those around it
    inner = program.scopes[static_cast<size_t>(inner)].parent;
  }
  return a;
}

}  // namespace

FullyShard::FullyShard(Tape& tape, const Sharding& sharding, DType dtype)
    : tape_(tape), sharding_(sharding), dtype_(dtype), groups_(tape.program.turns.size()) {
  const std::vector<Parameter> whole = std::move(tape.parameters);
  tape.parameters.clear();
  for (const Parameter& parameter : whole) {
    Group& group = group_of(parameter.turn);
    group.scope = group.whole.empty() ? parameter.scope : common(tape.program, group.scope, parameter.scope);
    group.shards.push_back(tape.parameters.size());
    group.whole.push_back(parameter);
    const Tensor shard = cut(parameter);
    group.elements += shard.shape().elements();
    tape.parameters.push_back({shard, shard->node, parameter.scope, parameter.turn});
  }
  tape.hooks = this;
}

FullyShard::Group& FullyShard::group_of(int32_t unit) { return groups_[static_cast<size_t>(unit)]; }

Tensor FullyShard::make(const Group& group, Expr elements, DType dtype, const char* made_by) const {
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  const Category category = std::exchange(tape_.category, Category::kTemporaries);
  Tensor made = tape_.make({elements}, dtype, made_by);
  tape_.category = category;
  tape_.scope = scope;
  return made;
}

/// This rank's shard; the whole parameter's memory holds the padding of all ranks.
Tensor FullyShard::cut(const Parameter& parameter) const {
  const Tensor& whole = parameter.value;
  const Shape shape = shard_of(whole.shape(), shards());
  Storage& storage = tape_.program.storages[static_cast<size_t>(whole->storage)];
  storage.bytes = shards() * shape.elements() * Expr(size_of(whole.dtype()));
  storage.category = Category::kTemporaries;
  storage.made_by = "all_gather_copy_out";
  const int32_t scope = std::exchange(tape_.scope, parameter.scope);
  const int32_t turn = std::exchange(tape_.turn, parameter.turn);
  const Category category = std::exchange(tape_.category, Category::kWeights);
  Tensor shard = tape_.leaf(tape_.make(shape, dtype_, "parameter"));
  tape_.category = category;
  tape_.turn = turn;
  tape_.scope = scope;
  return shard;
}

/// foreach_all_gather: shards are cast into one buffer, which goes once it is sent.
void FullyShard::gather(Group& group) {
  if (group.whole.empty() || group.gathered || group.is_whole) return;
  const DType dtype = group.whole[0].value.dtype();
  Tensor input;
  if (dtype != dtype_) input = make(group, group.elements, dtype, "all_gather_input");
  group.gathered = make(group, shards() * group.elements, dtype, "all_gather_output");
}

/// foreach_all_gather_copy_out; returns what was gathered.
Tensor FullyShard::copy_out(Group& group) {
  if (!group.gathered) return {};
  for (const Parameter& parameter : group.whole) tape_.fill(parameter.value);
  group.is_whole = true;
  return std::move(group.gathered);
}

void FullyShard::reshard(Group& group) {
  if (!std::exchange(group.is_whole, false)) return;
  for (const Parameter& parameter : group.whole) tape_.empty(parameter.value);
}

void FullyShard::before_forward(int32_t unit) {
  Group& group = group_of(unit);
  gather(group);
  if (Tensor gathered = copy_out(group)) copied_out_ = std::move(gathered);
}

void FullyShard::after_forward(int32_t unit) {
  if (sharding_.reshard_after_forward) reshard(group_of(unit));
  order_.push_back(unit);
  if (unit == 0) copied_out_.reset();
}

void FullyShard::before_backward(int32_t unit) {
  gather(group_of(unit));
  copy_out(group_of(unit)).reset();
  while (!order_.empty() && order_.back() != unit) order_.pop_back();
  if (!order_.empty()) order_.pop_back();
  if (!order_.empty()) gather(group_of(order_.back()));
}

void FullyShard::after_backward(int32_t unit) {
  Group& group = group_of(unit);
  reshard(group);
  scattered_.reset();
  reduce(group);
  if (unit != 0) return;
  scattered_.reset();
  for (Group& any : groups_) any.reduced.reset();
  order_.clear();
}

/// foreach_reduce: gradients are copied into one buffer of the reduction's dtype; the last one outlives the others, for
/// the loop over them names it to the end.
void FullyShard::reduce(Group& group) {
  Tensor last;
  Expr elements = 0;
  std::vector<size_t> reduced;
  for (size_t i = 0; i < group.whole.size(); ++i) {
    if (!gradient_of(group.whole[i])) continue;
    reduced.push_back(i);
    last = gradient_of(group.whole[i]);
    elements += tape_.parameters[group.shards[i]].value.shape().elements();
  }
  if (reduced.empty()) return;
  const DType dtype = sharding_.casts_gradients ? sharding_.reduce_dtype : last.dtype();
  group.reduced.reset();
  scattered_ = make(group, shards() * elements, dtype, "reduce_scatter_input");
  for (const size_t i : reduced) gradient_of(group.whole[i]).reset();
  Tensor output = make(group, elements, dtype, "reduce_scatter_output");
  if (sharding_.hybrid) group.reduced = output;
  if (dtype != dtype_) output = make(group, elements, dtype_, "_to_copy");
  for (const size_t i : reduced) hand_out(output, group, i);
}

/// A shard's gradient is a part of the reduced buffer, or is added to what is there.
void FullyShard::hand_out(const Tensor& reduced, const Group& group, size_t i) {
  const Parameter& shard = tape_.parameters[group.shards[i]];
  if (gradient_of(shard)) return;
  gradient_of(shard) = tape_.look(reduced, shard.value.shape(), true);
  tape_.program.storages[static_cast<size_t>(reduced->storage)].category = Category::kGradients;
}

}  // namespace peakmem
