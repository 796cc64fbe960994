#include "layout/zero_partition.h"

#include <algorithm>
#include <utility>

#include "size/order.h"
#include "trace/engine.h"

namespace peakmem {
namespace {

/// Elements of the largest parameter.
int64_t largest(const std::vector<ZeroGroup>& groups) {
  int64_t most = 0;
  for (const ZeroGroup& group : groups)
    for (const ZeroMember& each : group.members) most = std::max(most, each.elements);
  return most;
}

}  // namespace

// engine.to(device), then each group: empty_cache(), flatten, the part's copy.
ZeroPartition::ZeroPartition(Tape& tape, const Recipe& recipe) : ZeroOptimizer(tape, recipe) {
  for (size_t i = 0; i < groups_.size(); ++i)
    for (size_t k = 0; k < groups_[i].members.size(); ++k)
      places_[tape_.parameters[groups_[i].members[k].parameter].accumulator] = {i, k};
  pads_.resize(groups_.size());
  full_.resize(groups_.size());
  for (const ZeroGroup& group : groups_) {
    tape_.program.phases.back().empties_cache = true;
    tape_.begin_phase(0, -1, "prepare");
    flatten(group);
    make_master(group);
  }
  if (zero_.offloads_optimizer) {
    on_its_way_ = make(largest(groups_), recipe_.weights, "offload_buffer", Category::kGradients);
  } else {
    std::vector<Tensor> zeros;  // initialize_optimizer_states
    for (const ZeroGroup& group : groups_)
      zeros.push_back(make(group.part, DType::kFloat32, "zeros", Category::kGradients));
  }
}

bool ZeroPartition::is_own(const Place& place) const {
  return elements_of(groups_[place.group], member(place), zero_.rank) > 0;
}

/// setup_buckets: they stay until gradients were reduced.
void ZeroPartition::make_buckets() {
  if (!buckets_.empty()) return;
  for (int i = 0; i < (zero_.overlaps ? 2 : 1); ++i)
    buckets_.push_back(make(zero_.reduce_bucket, recipe_.weights, "reduce_bucket", Category::kGradients));
}

/// process_gradients
void ZeroPartition::accumulated(Node& leaf) {
  const auto place = places_.find(&leaf);
  if (place == places_.end()) return;
  const Scope scope(tape_, "zero");
  make_buckets();
  if (zero_.stage == 2 || (zero_.overlaps && is_last_)) take(place->second);
}

/// reduce_independent_p_g_buckets_and_remove_grads: what fits is copied into the bucket, and its own memory goes; what
/// does not is copied by itself where the host takes it.
void ZeroPartition::take(const Place& place) {
  const int64_t elements = member(place).elements;
  if (taken_elements_ + elements > zero_.reduce_bucket) reduce();
  if (elements <= zero_.reduce_bucket)
    gradient(place).reset();
  else if (zero_.offloads_optimizer)
    gradient(place) = make(elements, recipe_.weights, "clone", Category::kGradients);
  taken_.push_back(place);
  taken_elements_ += elements;
}

/// reduce_ipg_grads: what was reduced by itself goes when all is copied, for a name of the function holds it.
void ZeroPartition::reduce() {
  const std::vector<Place> taken = std::exchange(taken_, {});
  taken_elements_ = 0;
  if (taken.empty()) return;
  average(taken);
  std::vector<Tensor> held;
  for (const Place& place : taken) {
    const bool own = is_own(place);
    if (own) keep(place);
    const bool stays = own ? zero_.full_gradients || (zero_.offloads_optimizer && !is_last_) : zero_.stage == 1;
    if (!stays) held.push_back(std::move(gradient(place)));
  }
}

/// average_tensor: stretches of one rank that follow each other are one piece, but those that are gathered in fp32;
/// pieces are sent together until they are more than the bucket.
void ZeroPartition::average(const std::vector<Place>& taken) {
  std::vector<ZeroSlice> pieces;
  for (const Place& place : taken)
    for (const ZeroSlice& slice : slices(groups_[place.group], member(place))) {
      const bool apart = zero_.full_gradients && slice.rank == zero_.rank;
      if (apart && !full_[place.group])
        full_[place.group] =
            make(groups_[place.group].part, DType::kFloat32, "own_gradients", Category::kGradients, reduction_stream());
      if (!apart && !pieces.empty() && pieces.back().rank == slice.rank)
        pieces.back().elements += slice.elements;
      else
        pieces.push_back(slice);
    }
  std::vector<ZeroSlice> together;
  int64_t elements = 0;
  for (const ZeroSlice& piece : pieces) {
    elements += piece.elements;
    together.push_back(piece);
    if (elements <= zero_.reduce_bucket) continue;
    send(std::exchange(together, {}), std::exchange(elements, 0));
  }
  send(together, elements);
}

/// allreduce_and_copy_with_multiple_ranks: several pieces are copied to one tensor for it, and cast where they are
/// gathered in fp32.
void ZeroPartition::send(const std::vector<ZeroSlice>& pieces, int64_t elements) {
  Tensor reduced;
  if (pieces.size() > 1)
    reduced = make(elements, recipe_.weights, "reduced", Category::kTemporaries, reduction_stream());
  if (!zero_.full_gradients) return;
  for (const ZeroSlice& piece : pieces)
    if (piece.rank == zero_.rank)
      make(piece.elements, DType::kFloat32, "_to_copy", Category::kTemporaries, reduction_stream()).reset();
}

/// copy_grads_in_partition
void ZeroPartition::keep(const Place& place) {
  if (zero_.full_gradients) return;
  if (!zero_.offloads_optimizer) return make_room();
  if (is_last_) send_to_host(place);
}

/// Room for all parameters that the part touches, whole.
void ZeroPartition::make_room() {
  if (own_) return;
  int64_t elements = 0;
  for (const ZeroGroup& group : groups_)
    for (const ZeroMember& each : group.members)
      if (elements_of(group, each, zero_.rank) > 0) elements += each.elements;
  own_ = make(elements, recipe_.weights, "own_gradients", Category::kGradients, reduction_stream());
}

/// set_norm_for_param_grad_in_gpu, async_inplace_copy_grad_to_fp32_buffer_from_gpu
void ZeroPartition::send_to_host(const Place& place) {
  const int64_t elements = elements_of(groups_[place.group], member(place), zero_.rank);
  norms_.push_back(norm_of(elements));
  make(elements, DType::kFloat32, "_to_copy", Category::kTemporaries).reset();
}

/// Stage 1's: parameter by parameter, in the order of the optimizer's group.
void ZeroPartition::take_all() {
  for (size_t i = 0; i < groups_.size(); ++i) {
    std::vector<Place> all;
    for (size_t k = 0; k < groups_[i].members.size(); ++k) all.push_back({i, k});
    sort_by(all, [this](const Place& place) { return member(place).parameter; });
    for (const Place& place : all)
      if (gradient(place)) take(place);
  }
}

/// Stage 1 reduces now; then independent_gradient_partition_epilogue.
void ZeroPartition::finish_backward() {
  if (zero_.stage == 1 && !is_last_) return;
  const Scope scope(tape_, "zero");
  if (zero_.stage == 1 && !zero_.overlaps) take_all();
  reduce();
  if (!kept_) kept_ = own_;
  if (is_last_) finish_step_of_gradients();
  buckets_.clear();
  own_.reset();
  for (const Parameter& parameter : tape_.parameters) gradient_of(parameter).reset();
}

/// get_flat_partition: what a part lacks at its end is zeros.
void ZeroPartition::finish_step_of_gradients() {
  for (size_t i = 0; i < groups_.size(); ++i) {
    int64_t missing = groups_[i].part;
    for (const ZeroMember& each : groups_[i].members) missing -= elements_of(groups_[i], each, zero_.rank);
    if (missing > 0 && !zero_.offloads_optimizer && !zero_.full_gradients)
      pads_[i] = make(missing, recipe_.weights, "zeros", Category::kGradients);
  }
}

/// get_grad_norm_direct, one parameter after another.
void ZeroPartition::take_norms(const ZeroGroup& group) {
  std::vector<Tensor> norms;
  for (const ZeroMember& each : group.members)
    if (const int64_t elements = elements_of(group, each, zero_.rank); elements > 0) norms.push_back(norm_of(elements));
}

void ZeroPartition::update() {
  // scaled_global_grad_norm, and the trainer's name of the last step's.
  const Tensor scaled = make(1, DType::kFloat32, "pow", Category::kTemporaries);
  const Tensor named = make(1, DType::kFloat32, "div", Category::kTemporaries);
  if (!zero_.offloads_optimizer) {
    for (const ZeroGroup& group : groups_) take_norms(group);
    for (size_t i = 0; i < groups_.size(); ++i) update(i);
  }
  norms_.clear();
}

/// A group's part: its gradients joined, where they are several, then in fp32; then the optimizer on it.
void ZeroPartition::update(size_t index) {
  const ZeroGroup& group = groups_[index];
  const auto own = [&](const ZeroMember& each) { return elements_of(group, each, zero_.rank) > 0; };
  const auto pieces = std::count_if(group.members.begin(), group.members.end(), own) + (pads_[index] ? 1 : 0);
  Tensor joined;
  const Parameter& master = masters_[index];
  if (pieces > 1 && !zero_.full_gradients) joined = make(group.part, recipe_.weights, "cat", Category::kTemporaries);
  gradient_of(master) = zero_.full_gradients ? std::move(full_[index])
                                             : make(group.part, DType::kFloat32, "_to_copy", Category::kGradients);
  joined.reset();
  pads_[index].reset();
  if (index + 1 == groups_.size()) kept_.reset();
  run(index);
  gradient_of(master).reset();
}

}  // namespace peakmem
