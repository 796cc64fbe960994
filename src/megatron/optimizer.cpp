#include "megatron/optimizer.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "trace/workspace.h"

namespace peakmem::mcore {
namespace {

/// What is made while it lives is of this category, and belongs to the parameter.
class At {
 public:
  At(Tape& tape, Category category) : tape_(tape), category_(std::exchange(tape.category, category)) {}
  At(Tape& tape, Category category, const Parameter& parameter) : At(tape, category) {
    scope_ = std::exchange(tape.scope, parameter.scope);
    turn_ = std::exchange(tape.turn, parameter.turn);
    moved_ = true;
  }
  ~At() {
    tape_.category = category_;
    if (!moved_) return;
    tape_.scope = scope_;
    tape_.turn = turn_;
  }
  At(const At&) = delete;
  At& operator=(const At&) = delete;

 private:
  Tape& tape_;
  Category category_;
  int32_t scope_ = 0;
  int32_t turn_ = 0;
  bool moved_ = false;
};

Tensor scalar(Tape& tape, DType dtype, const char* op) { return tape.make({1}, dtype, op); }

}  // namespace

void GradientHooks::accumulated(Node& leaf) {
  if (parameters_.contains(&leaf)) leaf.gradient.reset();
}

GradientBuffers::GradientBuffers(const Builder& b, size_t first, size_t last, bool buckets) {
  std::vector<size_t> dense;
  std::vector<size_t> experts;
  for (size_t i = first; i < last; ++i) (b.traits[i].expert ? experts : dense).push_back(i);
  allocate(b, dense, b.job.degrees.shards(), buckets, dense_);
  allocate(b, experts, b.job.degrees.expert_shards(), buckets, experts_);
}

// The distributed optimizer has parameters look into a buffer too: each old one goes when it was copied there.
void GradientBuffers::allocate(const Builder& b, const std::vector<size_t>& which, int64_t ranks, bool buckets,
                               std::vector<Buffer>& buffers) {
  if (which.empty()) return;
  const Training& t = b.job.training;
  constexpr int64_t kUsual = 40000000;
  const int64_t bucket = std::max(kUsual, 1000000 * b.job.degrees.copies());
  const BufferRules rules = {ranks, buckets && t.overlaps_gradients ? bucket : 0, t.distributed_optimizer};
  Buffer buffer = lay_out(b.tape, b.traits, which, rules);
  if (t.distributed_optimizer) {
    const At at(b.tape, Category::kWeights);
    const Scope scope(b.tape, "param_data");
    buffer.parameters = b.tape.make({buffer.elements}, t.precision, "zeros");
  }
  {
    const At at(b.tape, Category::kGradients);
    const Scope scope(b.tape, "grad_data");
    const DType dtype = t.full_gradients ? DType::kFloat32 : t.precision;
    buffer.gradients = b.tape.make({buffer.elements}, dtype, "zeros");
  }
  if (t.distributed_optimizer)
    for (const Slot& slot : buffer.slots) b.tape.empty(b.tape.parameters[slot.parameter].value);
  buffers.push_back(std::move(buffer));
}

Optimizer::Optimizer(const Builder& b, const std::vector<Buffer*>& buffers, int64_t rank) : b_(b) {
  const Training& t = b.job.training;
  const At at(b.tape, Category::kOptimizer);
  has_main_ = size_of(t.precision) == 2;
  for (const Buffer* buffer : buffers) {
    std::vector<Shard> shards;
    if (t.distributed_optimizer)
      shards = shards_of(*buffer, rank);
    else
      for (const Slot& slot : std::views::reverse(buffer->slots)) shards.push_back({slot.parameter, slot.range.size()});
    for (const Shard& shard : shards) {
      const bool decays = b.tape.parameters[shard.parameter].value.shape().rank > 1;
      parameters_.push_back({shard.parameter, shard.elements, decays, {}, {}, {}, {}});
    }
  }
  std::stable_partition(parameters_.begin(), parameters_.end(), [](const Updated& each) { return each.decays; });
  // A scale of one, or what a scaler of gradients in fp16 has: its scale, bounds and factors, found_inf and a flag.
  const int scalars = t.precision == DType::kFloat16 ? 6 : has_main_ || !t.distributed_optimizer ? 1 : 2;
  for (int i = 0; i < scalars; ++i) scalars_.push_back(scalar(b.tape, DType::kFloat32, "empty"));
  if (b.job.kernels.te_adam) scalars_.push_back(scalar(b.tape, DType::kInt32, "_dummy_overflow_buf"));
  if (has_main_)
    for (Updated& updated : parameters_) make_main(updated);
}

void Optimizer::make_main(Updated& updated) {
  const At at(b_.tape, Category::kOptimizer, of_tape(updated));
  const Shape shape = {updated.elements};
  const Tensor clone = b_.tape.make(shape, b_.job.training.precision, "clone");
  updated.main = b_.tape.make(shape, DType::kFloat32, "_to_copy");
}

void Optimizer::prepare() {
  const Training& t = b_.job.training;
  if (has_main_ && !t.full_gradients) {
    for (const Updated& updated : parameters_) {
      const At at(b_.tape, Category::kGradients, of_tape(updated));
      gradients_.push_back(b_.tape.make({updated.elements}, DType::kFloat32, "_to_copy"));
    }
  }
  if (t.precision != DType::kFloat16) return;
  // They are divided by the scale: self._scale.double().reciprocal().float().
  Tensor full = b_.tape.make({1}, DType::kFloat64, "_to_copy");
  const Tensor reciprocal = b_.tape.make({1}, DType::kFloat64, "reciprocal");
  full.reset();
  const Tensor inverse = scalar(b_.tape, DType::kFloat32, "_to_copy");
}

void Optimizer::make_norms(std::vector<Tensor>& norms) const {
  for (size_t i = 0; i < parameters_.size(); ++i)
    norms.push_back(b_.tape.make(Shape{}, DType::kFloat32, "linalg_vector_norm"));
}

// clip_grad_by_total_norm_fp32; without kernels `src * scale` is a tensor for each gradient.
void Optimizer::clip() const {
  const At at(b_.tape, Category::kTemporaries);
  const Tensor dummy_overflow = scalar(b_.tape, DType::kInt32, "zeros");
  if (!b_.job.kernels.local_clip) return;
  for (const Updated& updated : parameters_) {
    const At of(b_.tape, Category::kTemporaries, of_tape(updated));
    const Tensor scaled = b_.tape.make({updated.elements}, DType::kFloat32, "mul");
  }
}

// torch.count_nonzero of each gradient: where it is not zero, and that as integers for the sum.
void Optimizer::count_zeros() const {
  for (const Updated& updated : parameters_) {
    const At at(b_.tape, Category::kTemporaries, of_tape(updated));
    const Tensor is_nonzero = b_.tape.make({updated.elements}, DType::kBool, "ne");
    const Tensor counted = workspace(b_.tape, updated.elements * size_of(DType::kInt64), "sum");
  }
}

void Optimizer::make_states(Updated& updated) {
  if (updated.mean) return;
  const At at(b_.tape, Category::kOptimizer, of_tape(updated));
  if (!b_.job.kernels.foreach_adam && !b_.job.kernels.te_adam)
    updated.step = b_.tape.make(Shape{}, DType::kFloat32, "zeros");
  updated.mean = b_.tape.make({updated.elements}, DType::kFloat32, "zeros_like");
  updated.square = b_.tape.make({updated.elements}, DType::kFloat32, "zeros_like");
}

// torch.optim.AdamW of one group: foreach takes the root of all squares at once.
void Optimizer::update(const std::vector<Updated*>& group) {
  for (Updated* updated : group) make_states(*updated);
  if (!b_.job.kernels.foreach_adam) return;
  std::vector<Tensor> roots;
  for (const Updated* updated : group) {
    const At at(b_.tape, Category::kTemporaries, of_tape(*updated));
    roots.push_back(b_.tape.make({updated->elements}, DType::kFloat32, "_foreach_sqrt"));
  }
}

void Optimizer::step() {
  for (const bool decays : {true, false}) {
    std::vector<Updated*> group;
    for (Updated& updated : parameters_)
      if (updated.decays == decays) group.push_back(&updated);
    update(group);
  }
  // Main parameters are copied to the model's, in fp16 by a multiplication.
  if (!b_.job.kernels.local_clip || b_.job.training.precision != DType::kFloat16) return;
  for (const Updated& updated : parameters_) {
    const At at(b_.tape, Category::kTemporaries, of_tape(updated));
    const Tensor scaled = b_.tape.make({updated.elements}, DType::kFloat32, "mul");
  }
}

}  // namespace peakmem::mcore
