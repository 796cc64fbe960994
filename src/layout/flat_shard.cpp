#include "layout/flat_shard.h"

#include <algorithm>
#include <utility>

#include "layout/broadcast.h"
#include "layout/zero_modules.h"
#include "trace/engine.h"

namespace peakmem {
namespace {

constexpr int64_t kAddress = 16;  // bytes of which a parameter's address is a multiple (_get_aligned_numel)

/// What happens while it lives happens in step 1 and in no later one.
class Once {
 public:
  explicit Once(Tape& tape) : tape_(tape), first_(tape.program.events.size()) {}
  ~Once() {
    for (size_t i = first_; i < tape_.program.events.size(); ++i) tape_.program.events[i].once = true;
  }
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

 private:
  Tape& tape_;
  size_t first_;
};

/// tensor.data = a stretch of another one; returns what it looked at before.
Tensor look_into(const Tensor& tensor, const Tensor& other) {
  Tensor view = tensor.tape().look(other, tensor.shape(), true);
  std::swap(view->storage, tensor->storage);
  return view;
}

int64_t elements_of(const Parameter& parameter) { return parameter.value.shape().elements().number(); }

int depth_of(const Program& program, int32_t scope) {
  int depth = 0;
  for (; scope > 0; scope = program.scopes[static_cast<size_t>(scope)].parent) ++depth;
  return depth;
}

std::vector<int64_t> sizes_of(const std::vector<Parameter>& parameters) {
  std::vector<int64_t> sizes;
  for (const Parameter& parameter : parameters) sizes.push_back(elements_of(parameter));
  return sizes;
}

}  // namespace

FlatShard::FlatShard(Tape& tape, const Recipe& recipe)
    : tape_(tape), recipe_(recipe), sharding_(recipe.sharding), flat_(recipe.sharding.flat) {
  tape.meta_parameters = true;
  tape.hooks = this;
}

/// What modules see their parameters in.
DType FlatShard::computed(const Group& group) const {
  return sharding_.casts_parameters ? sharding_.param_dtype : group.kept;
}

Tensor FlatShard::make(const Group& group, int64_t elements, DType dtype, const char* made_by, Category category,
                       Stream stream) {
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  const Category outer = std::exchange(tape_.category, category);
  Tensor made = tape_.make({elements}, dtype, made_by);
  tape_.program.storages[static_cast<size_t>(made->storage)].stream = stream;
  tape_.category = outer;
  tape_.scope = scope;
  return made;
}

Tensor FlatShard::make_empty(const Group& group, int64_t elements, DType dtype, const char* made_by, Stream stream) {
  const int32_t scope = std::exchange(tape_.scope, group.scope);
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  Tensor made = tape_.make_empty({elements}, dtype, made_by);
  tape_.program.storages[static_cast<size_t>(made->storage)].stream = stream;
  tape_.category = outer;
  tape_.scope = scope;
  return made;
}

void FlatShard::shard() {
  groups_.resize(static_cast<size_t>(tape_.units()));
  const std::vector<Parameter> all = all_parameters(tape_);
  for (const Parameter& whole : all) {
    Group& group = group_of(whole.unit);
    group.scope = group.wholes.empty() ? whole.scope : tape_.program.common(group.scope, whole.scope);
    group.wholes.push_back(whole);
  }
  for (Group& group : groups_) {
    const int32_t outer = std::exchange(tape_.scope, group.scope);
    group.scope = tape_.enter("_flat_param");
    tape_.scope = outer;
  }
  tape_.parameters.clear();
  tape_.frozen.clear();
  for (int32_t unit = 1; unit < tape_.units(); ++unit) {
    tape_.enter_unit(unit);
    wrap(group_of(unit));
  }
  tape_.enter_unit(0);
  wrap(group_of(0));
  for (int32_t unit = 0; unit < tape_.units(); ++unit) {
    tape_.enter_unit(unit);
    upcast(group_of(unit));
    add_pieces(group_of(unit));
  }
  tape_.enter_unit(0);
  list_pieces(all);
}

/// What from_pretrained left on the host comes a unit at a time, and of that the outer modules' first
/// (_move_module_to_device).
std::vector<Tensor> FlatShard::move(const Group& group) {
  std::vector<Tensor> moved;
  for (int depth = 0; moved.size() < group.wholes.size(); ++depth)
    for (const Parameter& whole : group.wholes)
      if (depth_of(tape_.program, whole.scope) == depth)
        moved.push_back(make(group, elements_of(whole), group.made, "parameter", Category::kWeights));
  return moved;
}

/// FullyShardedDataParallel.__init__: what is between parameters is a tensor of its own until all are joined.
void FlatShard::wrap(Group& group) {
  if (group.wholes.empty()) return;
  group.made = group.kept = recipe_.weights;
  const int64_t aligned = flat_.keeps_parameters ? kAddress / size_of(computed(group)) : 0;
  group.layout = lay_flat(sizes_of(group.wholes), aligned, sharding_.shards, flat_.rank);
  const FlatLayout& layout = group.layout;
  const std::vector<Tensor> moved = move(group);
  if (flat_.sends_states) {
    std::vector<std::pair<DType, int64_t>> sent;
    for (const Parameter& whole : group.wholes) sent.emplace_back(group.made, elements_of(whole) * size_of(group.made));
    broadcast(tape_, messages_of(sent));
  }
  std::vector<Tensor> paddings;
  for (const int64_t elements : layout.paddings) paddings.push_back(make(group, elements, group.made, "ones"));
  const Tensor joined = make(group, layout.elements, group.made, "cat");
  paddings.clear();
  group.shard = make(group, layout.own, group.made, "clone", Category::kWeights);
  if (layout.own < layout.shard) group.shard = make(group, layout.shard, group.made, "pad", Category::kWeights);
}

/// accelerate keeps what is trained in fp32 (1.15, prepare_model); parameters look into the shard of before until they
/// are next made to look into the new one.
void FlatShard::upcast(Group& group) {
  const bool upcasts = sharding_.by_accelerate && sharding_.casts_parameters && group.made != DType::kFloat32;
  if (!upcasts || group.wholes.empty()) return;
  group.kept = DType::kFloat32;
  group.loaded =
      std::exchange(group.shard, make(group, group.layout.shard, group.kept, "_to_copy", Category::kWeights));
  if (!flat_.keeps_parameters) group.loaded.reset();
}

void FlatShard::add_pieces(Group& group) {
  if (group.wholes.empty()) return;
  const DType seen = computed(group);
  if (seen != group.kept)
    group.cast = make_empty(group, group.layout.shard, seen, "all_gather_input", Stream::kPreUnshard);
  group.whole = make_empty(group, sharding_.shards * group.layout.shard, seen, "all_gather_output", Stream::kAllGather);
  for (const Parameter& whole : group.wholes) unmade_.push_back(look_into(whole.value, group.whole));
  std::vector<FlatPiece> pieces = group.layout.pieces;
  if (!flat_.keeps_parameters) pieces = {{0, group.layout.shard}};
  for (const FlatPiece& piece : pieces) {
    const Parameter& whole = group.wholes[piece.parameter];
    const Tensor view = tape_.leaf(tape_.look(group.shard, Shape{piece.elements}, true));
    const int32_t scope = flat_.keeps_parameters ? whole.scope : group.scope;
    group.pieces.push_back({{view, view->node, scope, whole.turn, whole.unit}, piece.parameter});
  }
}

/// As the model lists them; a flat parameter is the wrapper's own, which comes first.
void FlatShard::list_pieces(const std::vector<Parameter>& all) {
  for (const Parameter& parameter : all)
    for (const Piece& piece : group_of(parameter.unit).pieces)
      if (group_of(parameter.unit).wholes[piece.whole].value.get() == parameter.value.get())
        tape_.parameters.push_back(piece.seen);
}

/// init_flat_param_attributes: what is later resized is made once and emptied.
void FlatShard::prepare(Group& group) {
  if (group.wholes.empty()) return;
  const int64_t elements = sharding_.shards * group.layout.shard;
  if (group.cast) make(group, group.layout.shard, computed(group), "empty_like").reset();
  make(group, elements, computed(group), "empty").reset();
  if (group.cast) make(group, elements, group.kept, "empty").reset();
}

void FlatShard::prepare_all() {
  const Once once(tape_);
  for (Group& group : groups_) prepare(group);
}

void FlatShard::unshard(Group& group) {
  if (group.wholes.empty() || std::exchange(group.is_whole, true)) return;
  if (group.cast) tape_.fill(group.cast);
  tape_.fill(group.whole);
  if (group.cast) tape_.empty(group.cast);
}

/// Parameters look into the shard again where it is the only thing there is.
void FlatShard::reshard(Group& group, bool frees) {
  if (frees && std::exchange(group.is_whole, false)) tape_.empty(group.whole);
}

void FlatShard::drop_gradients() {
  for (Group& group : groups_) group.gradient.reset();
}

void FlatShard::before_forward(int32_t unit) {
  if (unit == 0 && !std::exchange(is_prepared_, true)) prepare_all();
  if (unit == 0) order_.clear();
  unshard(group_of(unit));
}

void FlatShard::after_forward(int32_t unit) {
  Group& group = group_of(unit);
  if (sharding_.reshard_after_forward) {
    reshard(group, unit != 0);
    const Once once(tape_);
    group.loaded.reset();
  }
  order_.push_back(unit);
}

/// The unit whose forward pass ended before this one's.
void FlatShard::prefetch(int32_t unit, Prefetch when) {
  if (flat_.prefetch != when) return;
  const auto at = std::find(order_.begin(), order_.end(), unit);
  if (at != order_.begin() && at != order_.end()) unshard(group_of(*std::prev(at)));
}

void FlatShard::before_backward(int32_t unit) {
  unshard(group_of(unit));
  prefetch(unit, Prefetch::kPre);
}

void FlatShard::after_backward(int32_t unit) {
  Group& group = group_of(unit);
  if (group.wholes.empty()) return;
  const bool is_first = !group.accumulated;
  const Tensor joined = join(group);  // which AccumulateGrad holds until its hook has returned
  if (is_first) group.accumulated = joined;
  reshard(group, reduces_ || sharding_.reshard_after_forward);
  {
    const Once once(tape_);
    group.loaded.reset();
  }
  if (unit != 0) prefetch(unit, Prefetch::kPost);
  if (reduces_) {
    reduce(group);
  } else if (is_first) {
    view_accumulated(group);
  }
  if (unit != 0) return;  // else _post_backward_final_callback
  for (Group& each : groups_) reshard(each, reduces_ || sharding_.reshard_after_forward);
}

/// SplitWithSizesBackward, on the stream on which views were made of what was gathered: what has no gradient, and what
/// is between parameters, is zeros. Gradients of micro-batches before are added to in place.
Tensor FlatShard::join(Group& group) {
  const auto made = [&](int64_t elements, const char* made_by, Category category) {
    return make(group, elements, computed(group), made_by, category, Stream::kAllGather);
  };
  std::vector<Tensor> parts;
  for (const Parameter& whole : group.wholes)
    if (!gradient_of(whole)) parts.push_back(made(elements_of(whole), "zeros", Category::kTemporaries));
  for (const int64_t elements : group.layout.paddings) parts.push_back(made(elements, "zeros", Category::kTemporaries));
  const bool is_sent = reduces_ && !(sharding_.casts_gradients && sharding_.reduce_dtype != computed(group));
  Tensor joined = made(group.layout.elements, is_sent ? "reduce_scatter_input" : "cat", Category::kGradients);
  for (const Parameter& whole : group.wholes) gradient_of(whole).reset();
  return joined;
}

/// _use_unsharded_grad_views: where a parameter has no gradient yet, one of its part's size is made first.
void FlatShard::view_accumulated(Group& group) {
  if (!flat_.keeps_parameters) return;
  for (const Piece& piece : group.pieces)
    make(group, piece.seen.value.shape().elements().number(), group.kept, "empty_like").reset();
}

/// _post_backward_hook, its second half.
void FlatShard::reduce(Group& group) {
  const Tensor joined = std::move(group.accumulated);
  const DType dtype = sharding_.casts_gradients ? sharding_.reduce_dtype : computed(group);
  const FlatLayout& layout = group.layout;
  const auto reduced = [&](int64_t elements, DType to, const char* made_by) {
    return make(group, elements, to, made_by, Category::kTemporaries, Stream::kReduceScatter);
  };
  Tensor sent;
  if (joined.dtype() != dtype) sent = reduced(layout.elements, dtype, "reduce_scatter_input");
  Tensor padded;
  if (const int64_t elements = layout.shard * sharding_.shards; elements > layout.elements)
    padded = reduced(elements, dtype, "pad");
  Tensor part = reduced(layout.shard, dtype, "reduce_scatter_output");
  if (dtype != group.kept)
    part = make(group, layout.shard, group.kept, "_to_copy", Category::kTemporaries,
                sharding_.hybrid ? Stream::kAllReduce : Stream::kReduceScatter);
  hand_out(group, part);
}

/// The first reduced gradient is kept, later ones are added to it.
void FlatShard::hand_out(Group& group, const Tensor& reduced) {
  const bool is_first = flat_.keeps_parameters ? !group.gradient : !gradient_of(group.pieces[0].seen);
  if (is_first) {
    group.gradient = reduced;
    Storage& storage = tape_.program.storages[static_cast<size_t>(reduced->storage)];
    storage.category = Category::kGradients;
    if (flat_.keeps_parameters) storage.made_by = "flat_gradient";
  }
  for (const Piece& piece : group.pieces)
    if (!gradient_of(piece.seen)) gradient_of(piece.seen) = tape_.look(group.gradient, piece.seen.value.shape(), true);
  if (!flat_.keeps_parameters) group.gradient.reset();  // which is the optimizer's own to drop
}

/// Norms in fp32, one parameter after another, summed over ranks (_get_grad_norm).
Tensor FlatShard::clip_gradients() {
  const Scope scope(tape_, "clip_grad_norm_");
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  const auto scalar = [this](const char* made_by) { return tape_.make(Shape{}, DType::kFloat32, made_by); };
  if (!zero_) {
    const Once once(tape_);
    zero_ = scalar("tensor");
  }
  std::vector<Tensor> norms;
  for (const Parameter& parameter : tape_.parameters)
    if (gradient_of(parameter)) norms.push_back(scalar("linalg_vector_norm"));
  Tensor stacked = tape_.make({static_cast<int64_t>(norms.size())}, DType::kFloat32, "stack");
  norms.clear();
  const Tensor local = scalar("linalg_vector_norm");
  stacked.reset();
  Tensor power = scalar("pow");
  Tensor total = scalar("pow");
  power.reset();
  Tensor sum = scalar("add");
  Tensor reciprocal = scalar("reciprocal");
  const Tensor coefficient = scalar("mul");
  reciprocal.reset();
  sum.reset();
  const Tensor clamped = scalar("clamp");
  tape_.category = outer;
  return total;
}

}  // namespace peakmem
