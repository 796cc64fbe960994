#include "layout/fully_shard.h"

#include <algorithm>
#include <ranges>

#include "layout/shard_tables.h"
#include "trace/engine.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

/// A shard's sizes: the first dimension over all ranks, rounded up.
Shape shard_of(const Shape& whole, Expr shards) {
  Shape shape = whole;
  shape.size[0] = ceil_div(whole[0], shards);
  return contiguous(shape);
}

/// What a trained parameter is kept in: an adapter as it was made, a copy of a module (modules_to_save) as that is.
DType kept_dtype(const Program& program, const Weight& weight, const Recipe& recipe) {
  if (!weight.trained) return frozen_dtype(recipe);
  const int32_t module = program.scopes[static_cast<size_t>(weight.scope)].parent;
  const bool is_copy = !recipe.lora.saved.empty() && recipe.lora.saves(program.path(module));
  return is_copy ? frozen_dtype(recipe) : trained_dtype(recipe);
}

/// What there is for every weight, in their order.
std::vector<Parameter> in_order(const Program& program, const std::vector<Parameter>& trained,
                                const std::vector<Parameter>& frozen) {
  std::vector<Parameter> all;
  auto next_trained = trained.begin();
  auto next_frozen = frozen.begin();
  for (const Weight& weight : program.weights) all.push_back(weight.trained ? *next_trained++ : *next_frozen++);
  return all;
}

}  // namespace

FullyShard::FullyShard(Tape& tape, const Recipe& recipe) : tape_(tape), recipe_(recipe), sharding_(recipe.sharding) {
  tape.meta_parameters = true;
  tape.hooks = this;
}

/// What FSDP casts for modules is kept in another dtype; what is no number (packed weights) it does not cast.
void FullyShard::made(const Tensor& parameter) {
  const bool is_cast = sharding_.casts_parameters && parameter.dtype() != DType::kUInt8;
  kept_.push_back(is_cast ? kept_dtype(tape_.program, tape_.program.weights.back(), recipe_) : parameter.dtype());
  if (!recipe_.built_on_device || sharding_.by_accelerate) return;
  const Category category = std::exchange(tape_.category, Category::kWeights);
  built_.push_back(tape_.make(parameter.shape(), kept_.back(), "parameter"));
  tape_.category = category;
}

void FullyShard::shard() {
  std::vector<Parameter> wholes =
      in_order(tape_.program, std::exchange(tape_.parameters, {}), std::exchange(tape_.frozen, {}));
  if (sharding_.one_unit)
    for (Parameter& whole : wholes) whole.unit = 0;
  groups_.resize(static_cast<size_t>(tape_.units()));
  std::vector<Tensor> shards(wholes.size());
  if (sharding_.by_accelerate) last_of_optimizer_ = last_of_optimizer(wholes);
  for (const int32_t unit : in_order_of_wrapping()) {
    group_of(unit).reshards = sharding_.reshard_after_forward;
    cut(unit, wholes, shards);
  }
  if (sharding_.by_accelerate) {
    group_of(0).reshards = false;
    for (const Outer part : {Outer::kNorm, Outer::kHead}) group_of(unit_of(part)).reshards = false;
  }
  built_.clear();
  for (size_t i = 0; i < wholes.size(); ++i) add(wholes[i], shards[i]);
}

int32_t FullyShard::unit_of(Outer part) const { return tape_.outer.units[static_cast<size_t>(part)]; }

/// Layers, then what is outside of them, the model last.
std::vector<int32_t> FullyShard::in_order_of_wrapping() const {
  const auto& outer = tape_.outer.units;
  std::vector<int32_t> layers, others;
  for (int32_t unit = 1; unit < tape_.units(); ++unit)
    (std::find(outer.begin(), outer.end(), unit) == outer.end() ? layers : others).push_back(unit);
  layers.insert(layers.end(), others.begin(), others.end());
  layers.push_back(0);
  return layers;
}

/// _move_states_to_device: what from_pretrained left on the host, a unit at a time.
void FullyShard::move_to_device(int32_t unit, const std::vector<Parameter>& wholes) {
  built_.resize(wholes.size());
  const Category category = std::exchange(tape_.category, Category::kWeights);
  for (size_t i = 0; i < wholes.size(); ++i) {
    if (wholes[i].unit != unit) continue;
    const int32_t scope = std::exchange(tape_.scope, wholes[i].scope);
    built_[i] = tape_.make(wholes[i].value.shape(), kept_[i], "parameter");
    tape_.scope = scope;
  }
  tape_.category = category;
}

/// While it shards accelerate names the embedding's weight and the head's (fsdp2_prepare_model) and the optimizer's
/// last parameter (_prepare_fsdp2), which stay whole until it is done.
bool FullyShard::is_named(const Parameter& whole) const {
  if (whole.accumulator != nullptr && whole.accumulator == last_of_optimizer_) return true;
  const bool is_outer =
      whole.unit != 0 && (whole.unit == unit_of(Outer::kEmbedding) || whole.unit == unit_of(Outer::kHead));
  return sharding_.by_accelerate && is_outer && whole.value.shape().rank == 2;
}

/// Trainer's optimizer has what does not decay, norms and biases, in its second group.
const Node* FullyShard::last_of_optimizer(const std::vector<Parameter>& wholes) const {
  const Node* last = nullptr;
  const Node* last_vector = nullptr;
  for (const Parameter& whole : wholes) {
    if (whole.accumulator == nullptr) continue;
    last = whole.accumulator;
    if (whole.value.shape().rank == 1) last_vector = last;
  }
  return last_vector != nullptr ? last_vector : last;
}

/// A unit's wholes live until all of its shards are made.
void FullyShard::cut(int32_t unit, const std::vector<Parameter>& wholes, std::vector<Tensor>& shards) {
  const int32_t outer = tape_.unit;
  tape_.enter_unit(unit);
  if (sharding_.by_accelerate) move_to_device(unit, wholes);
  for (size_t i = 0; i < wholes.size(); ++i)
    if (wholes[i].unit == unit) shards[i] = cut(wholes[i], kept_[i]);
  for (size_t i = 0; i < built_.size(); ++i)
    if (wholes[i].unit == unit && !is_named(wholes[i])) built_[i].reset();
  tape_.enter_unit(outer);
}

FullyShard::Group& FullyShard::group_of(int32_t unit) { return groups_[static_cast<size_t>(unit)]; }

void FullyShard::add(const Parameter& whole, const Tensor& shard) {
  Group& group = group_of(whole.unit);
  group.scope = group.pieces.empty() ? whole.scope : tape_.program.common(group.scope, whole.scope);
  const Piece& piece =
      group.pieces.emplace_back(Piece{whole, {shard, shard->node, whole.scope, whole.turn, whole.unit}, {}, {}});
  if (piece.shard.accumulator != nullptr) tape_.parameters.push_back(piece.shard);
}

Tensor FullyShard::make(const Group& group, Expr elements, DType dtype, const char* made_by, Stream stream) const {
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  const Category category = std::exchange(tape_.category, Category::kTemporaries);
  Tensor made = tape_.make({elements}, dtype, made_by);
  tape_.program.storages[static_cast<size_t>(made->storage)].stream = stream;
  tape_.category = category;
  tape_.scope = scope;
  return made;
}

/// This rank's shard; the whole parameter's memory holds the padding of all ranks.
Tensor FullyShard::cut(const Parameter& whole, DType dtype) const {
  const Shape shape = shard_of(whole.value.shape(), shards());
  Storage& storage = tape_.program.storages[static_cast<size_t>(whole.value->storage)];
  storage.bytes = shards() * shape.elements() * Expr(size_of(whole.value.dtype()));
  storage.category = Category::kTemporaries;
  storage.made_by = "all_gather_copy_out";
  const int32_t scope = std::exchange(tape_.scope, whole.scope);
  const Category category = std::exchange(tape_.category, Category::kWeights);
  Tensor shard = tape_.make(shape, dtype, "parameter");
  if (whole.accumulator != nullptr) shard = tape_.leaf(shard);
  tape_.category = category;
  tape_.scope = scope;
  return shard;
}

/// foreach_all_gather: shards that are cast are so into one buffer, which goes once it is sent; shards of several
/// dtypes travel as bytes.
void FullyShard::gather(Group& group) {
  if (group.pieces.empty() || group.gathered || group.is_whole || sharding_.shards == 1) return;
  const DType dtype = group.pieces[0].whole.value.dtype();
  Expr cast = 0;
  Expr elements = 0;
  Expr bytes = 0;
  bool is_uniform = true;
  for (const Piece& piece : group.pieces) {
    const Expr own = piece.shard.value.shape().elements();
    if (piece.whole.value.dtype() != piece.shard.value.dtype()) cast += own;
    is_uniform = is_uniform && piece.whole.value.dtype() == dtype;
    elements += own;
    bytes += own * Expr(size_of(piece.whole.value.dtype()));
  }
  const Stream stream = sharding_.one_unit ? Stream::kPreUnshard : Stream::kAllGather;  // every root has its own
  Tensor input;
  if (!identical(cast, Expr(0))) input = make(group, cast, dtype, "all_gather_input", stream);
  group.gathered = is_uniform ? make(group, shards() * elements, dtype, "all_gather_output", stream)
                              : make(group, shards() * bytes, DType::kUInt8, "all_gather_output", stream);
}

/// foreach_all_gather_copy_out; returns what was gathered.
Tensor FullyShard::copy_out(Group& group) {
  if (sharding_.shards == 1) copy(group);
  if (!group.gathered) return {};
  for (const Piece& piece : group.pieces) tape_.fill(piece.whole.value);
  run_split(group);
  group.is_whole = true;
  return std::move(group.gathered);
}

void FullyShard::run_split(const Group& group) {
  std::vector<Expr> shards;
  for (const Piece& piece : group.pieces)
    shards.push_back(piece.shard.value.shape().elements() * size_of(piece.whole.value.dtype()));
  const Expr bytes = split_table_bytes(tape_.processor, shards, sharding_.shards, tape_.symbol_values);
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  workspace(tape_, bytes, "split_with_sizes_copy");
  tape_.scope = scope;
}

/// What stands for a gather where nothing is sharded: each is cast and copied, and the loop names the last cast.
void FullyShard::copy(Group& group) {
  if (std::exchange(group.is_whole, true)) return;
  Tensor input;
  for (const Piece& piece : group.pieces) {
    const Tensor& whole = piece.whole.value;
    input = whole.dtype() == piece.shard.value.dtype()
                ? Tensor()
                : make(group, whole.shape().elements(), whole.dtype(), "_to_copy", Stream::kMain);
    tape_.fill(whole);
  }
}

void FullyShard::reshard(Group& group) {
  if (!std::exchange(group.is_whole, false)) return;
  for (const Piece& piece : group.pieces) tape_.empty(piece.whole.value);
}

void FullyShard::before_forward(int32_t unit) {
  Group& group = group_of(unit);
  if (unit == 0 && tape_.grad_mode) first_node_ = tape_.nodes();
  if (tape_.grad_mode) {
    group.is_reached = unit == 0 || tape_.has_graph(first_node_);
    group.is_finished = false;
  }
  group.is_running = true;
  group.is_forced = false;
  gather(group);
  if (Tensor gathered = copy_out(group)) copied_out_ = std::move(gathered);
}

void FullyShard::end_forward(int32_t unit) {
  group_of(unit).is_running = false;
  if (group_of(unit).reshards) reshard(group_of(unit));
  order_.push_back(unit);
}

/// The model's own ends those of which a part did not run (_force_complete_incomplete_states).
void FullyShard::after_forward(int32_t unit) {
  end_forward(unit);
  if (unit != 0) return;
  for (int32_t other = tape_.units() - 1; other > 0; --other) {
    if (!group_of(other).is_running) continue;
    group_of(other).is_forced = true;
    end_forward(other);
  }
  copied_out_.reset();
}

void FullyShard::before_backward(int32_t unit) {
  if (unit == 0)  // their gradient is what the model returned
    for (int32_t other = 1; other < tape_.units(); ++other)
      if (std::exchange(group_of(other).is_forced, false)) before_backward(other);
  group_of(unit).is_finished = false;  // a pipeline has several backward passes behind its last forward pass
  gather(group_of(unit));
  copy_out(group_of(unit)).reset();
  while (!order_.empty() && order_.back() != unit) order_.pop_back();
  if (!order_.empty()) order_.pop_back();
  if (!order_.empty()) gather(group_of(order_.back()));
}

// Nothing says of a unit whose input wants no gradient that its backward is over: it waits for the root's end. What the
// unit before left goes in its turn, since its own may stand for many; but behind a gradient's part that is copied out.
void FullyShard::after_backward(int32_t unit) {
  if (group_of(unit).is_reached) {
    finish(unit);
  } else if (std::ranges::none_of(group_of(unit).pieces, [](const Piece& p) { return p.redistribution.parts > 1; })) {
    scattered_.reset();
  }
  if (unit == 0) finish_all();
}

void FullyShard::redistribute(const Parameter& shard, const Redistribution& redistribution) {
  for (Piece& piece : group_of(shard.unit).pieces)
    if (piece.shard.accumulator == shard.accumulator) piece.redistribution = redistribution;
}

Tensor& FullyShard::gathered_gradient(const Piece& piece) {
  return piece.accumulated ? const_cast<Piece&>(piece).accumulated : gradient_of(piece.whole);
}

/// accumulate_unsharded_grad_if_needed.
void FullyShard::accumulate(Group& group) const {
  for (Piece& piece : group.pieces)
    if (piece.accumulated && gradient_of(piece.whole)) gradient_of(piece.whole).reset();
}

/// to_accumulated_grad_if_needed.
void FullyShard::cast_gradients(Group& group) {
  for (Piece& piece : group.pieces) {
    if (piece.whole.accumulator == nullptr || !gradient_of(piece.whole)) continue;
    Tensor& gradient = gradient_of(piece.whole);
    if (!sharding_.casts_gradients || gradient.dtype() == sharding_.reduce_dtype) continue;
    const Expr elements = piece.redistribution.parts * gradient.shape().elements();
    const Tensor cast = make(group, elements, sharding_.reduce_dtype, "_to_copy", Stream::kMain);
    piece.accumulated = tape_.look(cast, gradient.shape(), false);
    gradient.reset();
  }
}

/// FSDPParam.unsharded_grad_data.
void FullyShard::redistribute(Group& group) {
  for (const Piece& piece : group.pieces) {
    const Redistribution& how = piece.redistribution;
    if (piece.whole.accumulator == nullptr || (!how.sums && how.parts == 1)) continue;
    Tensor& gradient = gathered_gradient(piece);
    if (!gradient) continue;
    const Expr elements = gradient.shape().elements();
    Tensor sent = how.sums ? make(group, elements, gradient.dtype(), "all_reduce", Stream::kMain) : Tensor();
    const Tensor made = make(group, elements, gradient.dtype(), how.sums ? "wait_tensor" : "clone", Stream::kMain);
    sent.reset();
    gradient = tape_.look(made, gradient.shape(), false);
  }
}

void FullyShard::unshard(int32_t first, int32_t last) {
  for (int32_t unit = first; unit < last; ++unit) gather(group_of(unit));
}

void FullyShard::wait_unsharded(int32_t first, int32_t last) {
  for (int32_t unit = first; unit < last; ++unit) copy_out(group_of(unit)).reset();
}

void FullyShard::reduce_all(int32_t first, int32_t last) {
  for (int32_t unit = first; unit < last; ++unit) {
    tape_.enter_unit(unit);
    redistribute(group_of(unit));
    reshard(group_of(unit));
    scattered_.reset();
    reduce(group_of(unit));
  }
  tape_.enter_unit(0);
  scattered_.reset();
}

/// post_backward, of units that have parameters.
void FullyShard::finish(int32_t unit) {
  group_of(unit).is_finished = true;
  if (group_of(unit).pieces.empty()) return;
  accumulate(group_of(unit));
  if (!reduces_) {
    if (reshards_after_backward_) reshard(group_of(unit));
    return cast_gradients(group_of(unit));
  }
  redistribute(group_of(unit));
  reshard(group_of(unit));
  scattered_.reset();
  reduce(group_of(unit));
}

/// _root_post_backward_final_callback, behind the root's own: for units that wait and those that no gradient reached.
void FullyShard::finish_all() {
  for (int32_t unit = 0; unit < tape_.units(); ++unit) {
    tape_.enter_unit(unit);
    if (!group_of(unit).is_finished) finish(unit);
    group_of(unit).reduced.reset();
    group_of(unit).gathered.reset();
  }
  tape_.enter_unit(0);
  scattered_.reset();
  order_.clear();
}

/// foreach_reduce: gradients are copied into one buffer of the reduction's dtype; where there are more ranks than one
/// the last one outlives the others, for a loop over them names it to the end.
void FullyShard::reduce(Group& group) {
  Tensor last;
  DType own = DType::kFloat32;
  Expr elements = 0;
  std::vector<const Piece*> reduced;
  for (const Piece& piece : group.pieces) {
    if (piece.whole.accumulator == nullptr || !gathered_gradient(piece)) continue;
    reduced.push_back(&piece);
    own = gathered_gradient(piece).dtype();
    if (sharding_.shards > 1) last = gathered_gradient(piece);
    elements += piece.shard.value.shape().elements();
  }
  if (reduced.empty()) return;
  const DType dtype = sharding_.casts_gradients ? sharding_.reduce_dtype : own;
  group.reduced.reset();
  scattered_ = make(group, shards() * elements, dtype, "reduce_scatter_input", Stream::kMain);
  run_chunk_cat(group, reduced, own, dtype);
  for (const Piece* piece : std::ranges::reverse_view(reduced)) gathered_gradient(*piece).reset();  // list.clear()
  Tensor output = make(group, elements, dtype, "reduce_scatter_output", Stream::kReduceScatter);
  if (sharding_.hybrid) group.reduced = output;
  const DType kept = reduced[0]->shard.value.dtype();
  if (dtype != kept)
    output = make(group, elements, kept, "_to_copy", sharding_.hybrid ? Stream::kAllReduce : Stream::kReduceScatter);
  for (const Piece* piece : reduced) hand_out(output, *piece);
}

/// The fused copy is for one dtype, or from bf16 to fp32.
void FullyShard::run_chunk_cat(const Group& group, const std::vector<const Piece*>& reduced, DType from, DType to) {
  if (from != to && !(from == DType::kBFloat16 && to == DType::kFloat32)) return;
  std::vector<Expr> shards;
  for (const Piece* piece : reduced) shards.push_back(piece->shard.value.shape().elements() * size_of(to));
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  workspace(tape_, chunk_cat_table_bytes(shards), "_chunk_cat");
  tape_.scope = scope;
}

/// A shard's gradient is a part of the reduced buffer, or is added to what is there.
void FullyShard::hand_out(const Tensor& reduced, const Piece& piece) {
  if (gradient_of(piece.shard)) return;
  gradient_of(piece.shard) = tape_.look(reduced, piece.shard.value.shape(), true);
  tape_.program.storages[static_cast<size_t>(reduced->storage)].category = Category::kGradients;
}

}  // namespace peakmem
