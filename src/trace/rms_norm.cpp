#include "trace/rms_norm.h"

#include <utility>

namespace peakmem {
namespace {

// Inputs: input 0, weight 1.
void rms_norm_backward(Gradients& g) {
  Tape& tape = g.in[0].tape();
  if (g.needs(0)) g.out[0] = tape.make(contiguous(g.input_shape(0)), g.in[0].dtype(), "_fused_rms_norm_backward");
  if (g.needs(1)) g.out[1] = tape.make(g.input_shape(1), g.node.next[1].node->dtype, "_fused_rms_norm_backward");
}
const Op kRmsNorm = {"_fused_rms_norm", rms_norm_backward};

}  // namespace

Tensor rms_norm(Tensor input, const Tensor& weight) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kRmsNorm, {&x, &weight});
  tape.save(node, x);
  tape.save(node, weight);
  Tensor result = tape.make(contiguous(x.shape()), x.dtype(), kRmsNorm.name);
  Tape::attach(node, result);
  const Tensor rstd = tape.make(reduced_last(x.shape()), DType::kFloat32, kRmsNorm.name);
  tape.save(node, rstd);
  return result;
}

}  // namespace peakmem
