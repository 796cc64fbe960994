#include "model/complex_rotary.h"

#include "trace/complex.h"

namespace peakmem {

ComplexRotary::ComplexRotary(const Builder& builder) : b_(builder) {
  const Scope scope(b_.tape, "rotary_emb");
  const Shape half = {exact_div(b_.dims.rotary, 2)};
  inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "inv_freq");
  original_inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "original_inv_freq");
}

Rotation ComplexRotary::operator()(const Tensor& /*hidden_states*/, const Tensor& position_ids) const {
  const Scope scope(b_.tape, "rotary_emb");
  const NoGrad no_grad(b_.tape);
  Tape& tape = b_.tape;
  Tensor positions = tape.make({1, b_.dims.seq, 1}, DType::kFloat32, "_to_copy");
  const Tensor freqs = tape.make({1, b_.dims.seq, exact_div(b_.dims.rotary, 2)}, DType::kFloat32, "mul");
  positions.reset();
  Tensor ones = tape.make(freqs.shape(), DType::kFloat32, "ones_like");
  Tensor freqs_cis = tape.make(freqs.shape(), DType::kComplex64, "polar");
  ones.reset();
  freqs_cis = mul_scalar(freqs_cis);
  return {position_ids, freqs_cis, Tensor()};
}

Tensor in_complex_pairs(const Tensor& x) {
  return view_as_complex(split_dim(to(x, DType::kFloat32), 3, exact_div(x.size(3), 2), 2));
}

}  // namespace peakmem
