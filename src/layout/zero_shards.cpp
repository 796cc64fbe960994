#include "layout/zero_shards.h"

#include <algorithm>
#include <utility>

#include "model/called.h"
#include "trace/engine.h"

namespace peakmem {
namespace {

constexpr int64_t kMostOfNorm = 250000000;  // elements that _constant_buffered_norm2 takes at a time

int64_t share_of(int64_t elements, int64_t ranks) { return (elements + ranks - 1) / ranks; }

}  // namespace

ZeroShards::ZeroShards(Tape& tape, const Recipe& recipe) : ZeroOptimizer(tape, recipe) {
  tape_.hooks = nullptr;
  std::vector<CutParameter> parameters;
  for (const Parameter& whole : all_parameters(tape_)) {
    const int64_t elements = whole.value.shape().elements().number();
    const bool is_persistent = elements <= zero_.persistence_threshold;
    // zero.Init knows no adapters: these are cut when the engine starts.
    const bool is_loaded = whole.accumulator == nullptr || recipe_.lora.rank == 0;
    const bool persists = is_persistent || (is_loaded && elements <= zero_.loaded_persistence);
    if (whole.accumulator != nullptr) {
      by_leaf_[whole.accumulator] = parameters.size();
      places_.push_back(parameters.size());
    }
    parameters.push_back({.whole = whole,
                          .part = {},
                          .kept = {},
                          .elements = elements,
                          .share = share_of(elements, zero_.ranks),
                          .is_loaded = is_loaded,
                          .persists = persists,
                          .is_persistent = is_persistent});
  }
  coordinator_.emplace(tape_, zero_, std::move(parameters));
  if (recipe_.kernels.loss == LossKernel::kChunked) coordinator_->modules().add_model();
  coordinator_->cut_adapters();
  tape_.program.phases.back().empties_cache = true;
  tape_.begin_phase(0, -1, "prepare");
  flatten();
  const Scope scope(tape_, "zero");
  if (!zero_.offloads_optimizer) tracker_ = make(1, DType::kBool, "zeros", Category::kOptimizer);
  make_masters();
  make_buffers();
  for (const ZeroGroup& group : groups_)
    for (const ZeroMember& member : group.members) coordinator_->gather_for_a_moment(cut(member));
  tape_.linear_function = true;
  tape_.hooks = this;
}

/// defragment: parts go to the host and come back as one.
void ZeroShards::flatten() {
  if (zero_.offloads_parameters) return;
  int64_t elements = 0;
  for (const ZeroGroup& group : groups_) elements += group.part;
  for (const ZeroGroup& group : groups_)
    for (const ZeroMember& member : group.members) cut(member).part.reset();
  const Scope scope(tape_, "zero");
  flat_.push_back(make(elements, dtype_of_parts(), "flat_weights", Category::kWeights));
  for (const ZeroGroup& group : groups_)
    for (const ZeroMember& member : group.members) cut(member).part = flat_.back();
}

/// _create_fp32_partitions: cast, where they are not fp32, and cloned; the last cast is named until the next is there.
void ZeroShards::make_masters() {
  if (zero_.offloads_optimizer) return;
  Tensor converted;
  for (const ZeroGroup& group : groups_) {
    if (dtype_of_parts() != DType::kFloat32)
      converted = make(group.part, DType::kFloat32, "_to_copy", Category::kTemporaries);
    add_master(group, make(group.part, DType::kFloat32, "fp32_weights", Category::kOptimizer));
  }
}

/// initialize_optimizer_states, and the buffers behind it.
void ZeroShards::make_buffers() {
  int64_t largest = 0;
  int64_t all = 0;
  for (const ZeroGroup& group : groups_) {
    largest = std::max(largest, group.part);
    all += group.part;
  }
  if (!zero_.offloads_optimizer) make(largest, DType::kFloat32, "zeros", Category::kTemporaries).reset();
  bucket_ = make(zero_.reduce_bucket, recipe_.weights, "reduce_bucket", Category::kGradients);
  if (!zero_.offloads_optimizer) gradients_ = make(all, recipe_.weights, "own_gradients", Category::kGradients);
}

// What a module does to nodes is noted where the backward pass will meet it: not in a first run that a checkpoint
// does again with a graph of its own, nor in a second run that only fills slots.
bool ZeroShards::notes_calls() const { return tape_.grad_mode && !(tape_.runs_again && tape_.frame >= 0); }

void ZeroShards::before_forward(int32_t unit) {
  if (unit != 0) return;
  first_node_ = tape_.nodes();
  coordinator_->begin_pass();
  if (recipe_.lora.rank > 0) begin(ZeroModules::kEmpty);  // PEFT's model, and its LoraModel
  before_module(0);
}

void ZeroShards::after_forward(int32_t unit) {
  if (unit != 0) return;
  after_module(0);
  if (recipe_.lora.rank > 0) end(ZeroModules::kEmpty);
}

int32_t ZeroShards::module_of(int32_t scope) const {
  const ZeroModules& modules = coordinator_->modules();
  return scope == kBaseLayer ? modules.find_base(tape_.scope, tape_.unit) : modules.find(scope, tape_.unit);
}

/// A checkpoint runs the layer's call again, whose scope was entered around it.
void ZeroShards::notice_second_run() {
  if (tape_.runs_again && !std::exchange(in_second_run_, true)) coordinator_->fetch(ZeroModules::kEmpty, Pass::kAgain);
}

void ZeroShards::before_module(int32_t scope) {
  notice_second_run();
  if (const int32_t module = module_of(scope); module != ZeroModules::kNone) begin(module);
}

void ZeroShards::after_module(int32_t scope) {
  if (const int32_t module = module_of(scope); module != ZeroModules::kNone) end(module);
}

void ZeroShards::begin(int32_t module) {
  const bool has_graph = tape_.has_graph(first_node_);
  calls_.push_back({tape_.nodes(), has_graph, !tape_.ghost});
  if (tape_.ghost) return;
  coordinator_->fetch(module, pass());
  if (notes_calls() && has_graph && module >= 0) marks_.push_back({module, tape_.nodes(), -1});
}

void ZeroShards::end(int32_t module) {
  const Call call = calls_.back();
  calls_.pop_back();
  if (tape_.ghost || !call.is_counted) return;
  coordinator_->release(module, pass());
  if (!notes_calls()) return;
  if (tape_.nodes() > call.first)
    marks_.push_back({module, tape_.nodes(), call.first});
  else if (asking_ == ZeroModules::kNone && asks_for_gradient(module))
    asking_ = module;
}

/// Where layers are checkpointed a frozen embedding's output wants a gradient nevertheless
/// (enable_input_require_grads), so DeepSpeed gathers its weight for a backward pass that it has not; the first one is
/// that of the tokens.
bool ZeroShards::asks_for_gradient(int32_t module) const {
  if (recipe_.checkpointing == Checkpointing::kNone) return false;
  const std::vector<size_t>& own = coordinator_->modules().parameters(module);
  const auto is_embedding = [this](size_t place) { return coordinator_->parameters()[place].whole.of_embedding; };
  return std::any_of(own.begin(), own.end(), is_embedding);
}

void ZeroShards::before_node(int32_t index) {
  in_second_run_ = false;
  while (!marks_.empty() && marks_.back().node > index) {
    const Mark mark = marks_.back();
    marks_.pop_back();
    reach(mark, index);
  }
}

void ZeroShards::before_use(const Tensor& parameter) { coordinator_->give_model(parameter); }

/// A module none of whose nodes is reached has no backward pass.
void ZeroShards::reach(const Mark& mark, int32_t index) {
  if (mark.first >= 0) {
    if (index < mark.first) return;
    coordinator_->fetch(mark.module, Pass::kBackward);
    if (mark.module >= 0) open_.push_back(mark.module);
    return;
  }
  const auto begun = std::find(open_.rbegin(), open_.rend(), mark.module);
  if (begun == open_.rend()) return;
  open_.erase(std::next(begun).base());
  coordinator_->release(mark.module, Pass::kBackward);
}

/// reduce_independent_p_g_buckets_and_remove_grads: what fits is copied into the bucket, and its own memory goes.
void ZeroShards::accumulated(Node& leaf) {
  const auto place = by_leaf_.find(&leaf);
  if (place == by_leaf_.end()) return;
  const Scope scope(tape_, "zero");
  const int64_t elements = coordinator_->parameters()[place->second].elements;
  if (taken_elements_ + elements > zero_.reduce_bucket) reduce();
  if (elements <= zero_.reduce_bucket) leaf.gradient.reset();
  taken_.push_back(place->second);
  taken_elements_ += elements;
}

/// Elements of a parameter that this rank's part has, without padding.
int64_t ZeroShards::own(const CutParameter& cut) const {
  return std::clamp<int64_t>(cut.elements - zero_.rank * cut.share, 0, cut.share);
}

/// __reduce_and_partition_ipg_grads
void ZeroShards::reduce() {
  std::vector<size_t> taken = std::exchange(taken_, {});
  taken_elements_ = 0;
  if (taken.empty()) return;
  std::sort(taken.begin(), taken.end());
  join(taken);
}

/// reduce_scatter_coalesced joins what it sends, padded, but one parameter that is even; then partition_grads.
void ZeroShards::join(const std::vector<size_t>& taken) {
  const std::vector<CutParameter>& parameters = coordinator_->parameters();
  const CutParameter& first = parameters[taken.front()];
  Tensor joined;
  if (taken.size() > 1 || first.elements % zero_.ranks != 0) {
    std::vector<Tensor> pads;
    int64_t elements = 0;
    for (const size_t place : taken) elements += parameters[place].share;
    for (int64_t rank = 0; rank < zero_.ranks; ++rank)
      for (const size_t place : taken) {
        const CutParameter& each = parameters[place];
        const int64_t content = std::clamp<int64_t>(each.elements - rank * each.share, 0, each.share);
        if (content == each.share) continue;
        pads.push_back(
            make(each.share - content, recipe_.weights, "empty", Category::kTemporaries, reduction_stream()));
      }
    joined = make(zero_.ranks * elements, recipe_.weights, "reduced", Category::kTemporaries, reduction_stream());
  }
  for (const size_t place : taken) {
    if (zero_.offloads_optimizer && own(parameters[place]) > 0) send_to_host(parameters[place]);
    gradient_of(parameters[place].whole).reset();
  }
}

/// _offload_grad_partition_at_boundary
void ZeroShards::send_to_host(const CutParameter& cut) {
  const Tensor sum = make(own(cut), recipe_.weights, "_to_copy", Category::kTemporaries, reduction_stream());
  if (!is_last_) return;
  norms_.push_back(norm_of(std::min(own(cut), kMostOfNorm)));
  make(own(cut), DType::kFloat32, "_to_copy", Category::kTemporaries, reduction_stream()).reset();
}

void ZeroShards::finish_backward() {
  if (asking_ != ZeroModules::kNone) coordinator_->fetch(std::exchange(asking_, ZeroModules::kNone), Pass::kBackward);
  marks_.clear();
  open_.clear();
  const Scope scope(tape_, "zero");
  reduce();
  coordinator_->release_leftovers();
}

void ZeroShards::update() {
  coordinator_->partition_all();
  if (!zero_.offloads_optimizer) update_groups();
  norms_.clear();
  coordinator_->gather_persistent();
  if (!reported_.empty()) return;
  reported_.push_back(make(1, DType::kFloat32, "loss", Category::kOptimizer));
  if (!zero_.offloads_optimizer) reported_.push_back(make(1, DType::kFloat64, "grad_norm", Category::kOptimizer));
}

/// A group's norm is named to the end, as are that of all and its quotient.
void ZeroShards::update_groups() {
  std::vector<Tensor> named;
  for (const ZeroGroup& group : groups_) {
    std::vector<Tensor> norms;
    for (const ZeroMember& member : group.members) norms.push_back(norm_of(cut(member).share));
    named.push_back(make(1, DType::kFloat64, "where", Category::kTemporaries));
  }
  named.push_back(make(1, DType::kFloat64, "where", Category::kTemporaries));
  named.push_back(make(1, DType::kFloat64, "div", Category::kTemporaries));
  for (size_t i = 0; i < groups_.size(); ++i) update(i);
}

/// A group's gradients joined, where they are several, then in fp32; then the optimizer on them.
void ZeroShards::update(size_t index) {
  const ZeroGroup& group = groups_[index];
  Tensor joined;
  if (group.members.size() > 1) joined = make(group.part, recipe_.weights, "cat", Category::kTemporaries);
  gradient_of(masters_[index]) = make(group.part, DType::kFloat32, "_to_copy", Category::kGradients);
  joined.reset();
  run(index);
  gradient_of(masters_[index]).reset();
}

}  // namespace peakmem
