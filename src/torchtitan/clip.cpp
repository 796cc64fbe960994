#include "torchtitan/clip.h"

#include <utility>

#include "trace/engine.h"

namespace peakmem::titan {
namespace {

Tensor alike(const Tensor& x, const char* op) { return x.tape().make(contiguous(x.shape()), x.dtype(), op); }

Tensor all_reduce(const Tensor& x) {
  const Tensor sent = alike(x, "all_reduce");
  return alike(x, "wait_tensor");
}

/// _NormPartial -> Replicate along one dimension of the mesh: powers are summed, then the root is taken.
Tensor sum_powers(const Tensor& norms) {
  const Tensor powers = alike(norms, "pow");
  const Tensor received = all_reduce(powers);
  return alike(norms, "pow");
}

/// torch.stack of a norm for each gradient, and the norms.
struct Norms {
  std::vector<Tensor> each;
  Tensor stacked;
};

Norms norms_of(Tape& tape, const GradientLayout& layout) {
  Norms norms;
  {
    std::vector<Tensor> sums;
    for (size_t i = 0; i < tape.parameters.size(); ++i)
      if (layout.partial[i] && gradient_of(tape.parameters[i]))
        sums.push_back(all_reduce(gradient_of(tape.parameters[i])));
    for (const Parameter& parameter : tape.parameters)
      if (const Tensor& gradient = gradient_of(parameter))
        norms.each.push_back(tape.make(Shape{}, gradient.dtype(), "linalg_vector_norm"));
  }
  std::vector<Tensor> shares;
  for (size_t i = 0; i < tape.parameters.size(); ++i)
    if (layout.replicated[i] && gradient_of(tape.parameters[i])) shares.push_back(alike(norms.each.front(), "div"));
  norms.stacked = tape.make({static_cast<int64_t>(norms.each.size())}, norms.each.front().dtype(), "stack");
  return norms;
}

}  // namespace

Tensor clip_grad_norm(Tape& tape, const GradientLayout& layout) {
  const Scope scope(tape, "clip_grad_norm_");
  const Category outer = std::exchange(tape.category, Category::kTemporaries);
  Tensor total;
  {
    const Norms norms = norms_of(tape, layout);
    Tensor reduced = norms.stacked;
    for (int i = 0; i < layout.reductions; ++i) reduced = sum_powers(reduced);
    total = tape.make(Shape{}, reduced.dtype(), "linalg_vector_norm");
  }
  Tensor coefficient;
  {
    const Tensor sum = alike(total, "add");
    const Tensor reciprocal = alike(total, "reciprocal");
    coefficient = alike(total, "mul");
  }
  const Tensor clamped = alike(total, "clamp");
  tape.category = outer;
  return total;
}

}  // namespace peakmem::titan
