#include "megatron/weight_gradients.h"

#include <utility>

namespace peakmem::mcore {

Tensor WeightGradients::kept(const Tensor& weight) {
  for (const Tensor& each : kept_)
    if (identical(each.size(0), weight.size(0)) && identical(each.size(1), weight.size(1))) return each;
  Tape& tape = weight.tape();
  const Category outer = std::exchange(tape.category, Category::kGradients);
  kept_.push_back(tape.make(contiguous(weight.shape()), weight.dtype(), "get_dummy_wgrad"));
  tape.category = outer;
  return kept_.back();
}

Tensor WeightGradients::make(const Tensor& weight, const char* product) {
  Tape& tape = weight.tape();
  const Shape shape = contiguous(weight.shape());
  return fused_ ? tape.look(kept(weight), shape, true) : tape.make(shape, weight.dtype(), product);
}

Tensor WeightGradients::make_of_all(const Tensor& weight, const Shape& all, const char* product) {
  Tape& tape = weight.tape();
  return fused_ ? tape.look(kept(weight), all, true) : tape.make(all, weight.dtype(), product);
}

}  // namespace peakmem::mcore
