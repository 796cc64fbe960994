#include "layout/zero_optimizer.h"

#include <algorithm>
#include <utility>

#include "layout/zero_full_gradients.h"
#include "layout/zero_partition.h"
#include "layout/zero_shards.h"
#include "trace/engine.h"

namespace peakmem {
namespace {

/// tensor.data = a stretch of another one; what it looked at before goes if nothing else does.
void look_into(const Tensor& tensor, const Tensor& whole) {
  const Tensor view = tensor.tape().look(whole, tensor.shape(), true);
  std::swap(view->storage, tensor->storage);
}

/// The optimizer sees these parameters alone; ends with the C++ scope.
class Seen {
 public:
  Seen(Tape& tape, const Parameter& parameter)
      : tape_(tape), outer_(std::exchange(tape.parameters, std::vector<Parameter>{parameter})) {}
  ~Seen() { tape_.parameters = std::move(outer_); }
  Seen(const Seen&) = delete;
  Seen& operator=(const Seen&) = delete;

 private:
  Tape& tape_;
  std::vector<Parameter> outer_;
};

/// The thread blocks that share a sum over all elements of a tensor (Reduce.cuh of torch 2.13, setReduceConfig).
int64_t blocks_of_sum(const Processor& processor, int64_t elements) {
  constexpr int64_t kThreads = 512;
  constexpr int64_t kMinValues = 16;  // of a thread, where blocks share
  constexpr int64_t kMaxValues = 256;
  const int64_t values = (elements + kThreads - 1) / kThreads;
  if (values < kMaxValues) return 1;
  const int64_t room = processor.multiprocessors * (processor.threads / kThreads);
  const auto shared_by = [values](int64_t each) { return (values + each - 1) / each; };
  return std::max(std::min(room, shared_by(kMinValues)), shared_by(kMaxValues));
}

}  // namespace

ZeroOptimizer::ZeroOptimizer(Tape& tape, const Recipe& recipe)
    : tape_(tape), recipe_(recipe), zero_(recipe.zero), groups_(zero_groups(tape, recipe.zero)) {
  tape_.hooks = this;
}

Tensor& ZeroOptimizer::gradient_of(const Parameter& parameter) { return peakmem::gradient_of(parameter); }

Tensor ZeroOptimizer::make(int64_t elements, DType dtype, const char* made_by, Category category, Stream stream) const {
  const Category outer = std::exchange(tape_.category, category);
  Tensor made = tape_.make({elements}, dtype, made_by);
  tape_.program.storages[static_cast<size_t>(made->storage)].stream = stream;
  tape_.category = outer;
  return made;
}

void ZeroOptimizer::flatten(const ZeroGroup& group) {
  const Scope scope(tape_, "zero");
  const Tensor& flat = flat_.emplace_back(make(group.flat, recipe_.weights, "flat_weights", Category::kWeights));
  for (const ZeroMember& each : group.members) look_into(tape_.parameters[each.parameter].value, flat);
}

/// The part, cloned and then cast; where the host has it only the clone is here.
void ZeroOptimizer::make_master(const ZeroGroup& group) {
  const Scope scope(tape_, "zero");
  const Tensor clone = make(group.part, recipe_.weights, "clone", Category::kTemporaries);
  if (zero_.offloads_optimizer) return;
  add_master(group, make(group.part, DType::kFloat32, "fp32_weights", Category::kOptimizer));
}

void ZeroOptimizer::add_master(const ZeroGroup& group, const Tensor& weights) {
  const Tensor master = tape_.leaf(weights);
  masters_.push_back({master, master->node, tape_.scope, tape_.turn, 0});
  const Seen seen(tape_, masters_.back());
  const std::vector<Kept> states = {kept(*recipe_.optimizer, group.part, false)};
  optimizers_.emplace_back(tape_, *recipe_.optimizer, recipe_.impl, states);
}

/// What the kernel shares among its blocks goes with it.
Tensor ZeroOptimizer::norm_of(int64_t elements) const {
  const Tensor wide = make(elements, DType::kFloat64, "_to_copy", Category::kTemporaries);
  const Tensor norm = tape_.make(Shape{}, DType::kFloat64, "linalg_vector_norm");
  const int64_t blocks = blocks_of_sum(tape_.processor, elements);
  if (blocks == 1) return norm;
  const Tensor partial = make(blocks, DType::kFloat64, "linalg_vector_norm", Category::kWorkspace);
  const Tensor semaphore = make(1, DType::kInt32, "linalg_vector_norm", Category::kWorkspace);
  return norm;
}

void ZeroOptimizer::run(size_t group) {
  const Seen seen(tape_, masters_[group]);
  optimizers_[group].step();
}

// What is made of the optimizer's state is made in the first step alone.
void ZeroOptimizer::step() {
  const size_t first = tape_.program.events.size();
  const Scope scope(tape_, "zero");
  const Category outer = std::exchange(tape_.category, Category::kTemporaries);
  if (zero_.stage < 3 && !zero_.offloads_optimizer) norm_ = make(1, DType::kFloat32, "grad_norm", Category::kOptimizer);
  update();
  tape_.category = outer;
  for (size_t i = first; i < tape_.program.events.size(); ++i) {
    Event& event = tape_.program.events[i];
    event.once = tape_.program.storages[static_cast<size_t>(event.storage)].category == Category::kOptimizer;
  }
}

std::unique_ptr<ZeroOptimizer> zero_optimizer(Tape& tape, const Recipe& recipe) {
  if (recipe.zero.stage == 3) return std::make_unique<ZeroShards>(tape, recipe);
  if (recipe.zero.stage == 1 && recipe.zero.full_gradients) return std::make_unique<ZeroFullGradients>(tape, recipe);
  return std::make_unique<ZeroPartition>(tape, recipe);
}

}  // namespace peakmem
