#include "layout/zero_full_gradients.h"

#include <utility>

namespace peakmem {
namespace {

constexpr int64_t kMostTogether = 500000000;  // MEMORY_OPT_ALLREDUCE_SIZE of runtime/engine.py

}  // namespace

ZeroFullGradients::ZeroFullGradients(Tape& tape, const Recipe& recipe) : ZeroOptimizer(tape, recipe) {
  tape_.begin_phase(0, -1, "prepare");
  for (const ZeroGroup& group : groups_) {
    flatten(group);
    make_master(group);
    const Scope scope(tape_, "zero");
    gradients_.push_back(make(group.flat, DType::kFloat32, "fp32_gradients", Category::kGradients));
  }
}

/// update_hp_grads, and behind the last micro-batch engine.buffered_allreduce_fallback.
void ZeroFullGradients::finish_backward() {
  const Scope scope(tape_, "zero");
  for (const ZeroGroup& group : groups_)
    for (const ZeroMember& member : group.members)
      if (gradient(member)) make(member.elements, DType::kFloat32, "_to_copy", Category::kTemporaries).reset();
  if (is_last_) reduce();
}

/// allreduce_no_retain: groups together until they are more than it sends at once, joined and sent in bf16.
void ZeroFullGradients::reduce() {
  int64_t elements = 0;
  size_t count = 0;
  for (const ZeroGroup& group : groups_) {
    elements += group.flat;
    ++count;
    if (&group != &groups_.back() && elements <= kMostTogether) continue;
    Tensor joined;
    if (count > 1) joined = make(elements, DType::kFloat32, "cat", Category::kTemporaries);
    make(elements, recipe_.weights, "_to_copy", Category::kTemporaries).reset();
    elements = 0;
    count = 0;
  }
}

/// The parts' gradients are views; gradients in bf16 go when all groups were updated.
void ZeroFullGradients::update() {
  {
    std::vector<Tensor> norms;
    for (const ZeroGroup& group : groups_)
      for (size_t i = 0; i < group.members.size(); ++i)
        norms.push_back(make(1, DType::kFloat32, "linalg_vector_norm", Category::kTemporaries));
  }
  for (size_t i = 0; i < groups_.size(); ++i) {
    gradient_of(masters_[i]) = tape_.look(gradients_[i], masters_[i].value.shape(), true);
    run(i);
    gradient_of(masters_[i]).reset();
  }
  for (const Parameter& parameter : tape_.parameters) gradient_of(parameter).reset();
}

}  // namespace peakmem
