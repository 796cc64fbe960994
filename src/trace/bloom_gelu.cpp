#include "trace/bloom_gelu.h"

#include "trace/ops.h"

namespace peakmem {
namespace {

// tanh(0.79788456 * x * (1 + 0.044715 * x * x))
Tensor curve(const Tensor& x) {
  Tensor scaled = mul_scalar(x);
  Tensor square = mul_scalar(x);
  square = mul(std::move(square), x);
  square = add_scalar(std::move(square));
  return tanh(mul(std::move(scaled), std::move(square)));
}

// bloom_gelu_back: ff = 0.5 * x * ((1 - t * t) * (0.79788456 + 0.1070322243 * x * x)) + 0.5 * (1 + t), and ff * g
void bloom_gelu_backward(Gradients& g) {
  const Tensor x = g.saved(0);
  const Tensor tanh_out = curve(x);
  Tensor half = mul_scalar(x);
  Tensor slope = add_scalar(mul(tanh_out, tanh_out));
  Tensor inner = mul_scalar(x);
  inner = add_scalar(mul(std::move(inner), x));
  slope = mul(std::move(slope), std::move(inner));
  Tensor left = mul(std::move(half), std::move(slope));
  Tensor right = mul_scalar(add_scalar(tanh_out));
  const Tensor ff = add(std::move(left), std::move(right));
  g.out[0] = mul(ff, g.in[0]);
}
const Op kBloomGelu = {"bloom_gelu", bloom_gelu_backward};

}  // namespace

Tensor bloom_gelu(Tensor input) {
  const Tensor x = std::move(input);
  Node* node = x.tape().record(kBloomGelu, {&x});
  const NoGrad no_grad(x.tape());
  Tensor half = mul_scalar(x);
  Tensor gate = add_scalar(curve(x));
  Tensor result = mul(std::move(half), std::move(gate));
  Tape::attach(node, result);
  x.tape().save(node, x);
  return result;
}

}  // namespace peakmem
