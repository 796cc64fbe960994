#include "megatron/modules.h"

#include <array>
#include <utility>

#include "megatron/compiled.h"
#include "trace/rms_norm.h"

namespace peakmem::mcore {

Tensor Builder::parameter(const Shape& shape, const char* name, const Trait& trait) const {
  const bool outer = std::exchange(tape.meta_parameters, trait.on_host);
  Tensor made = tape.parameter(shape, job.training.precision, name);
  tape.meta_parameters = outer;
  traits.push_back(trait);
  return made;
}

ColumnParallelLinear::ColumnParallelLinear(const Builder& b, int64_t in, int64_t out, LinearKind kind, bool skips_bias)
    : b_(b), skips_bias_(skips_bias), te_(kind.te) {
  const int64_t ranks = kind.expert ? b.job.degrees.expert_tp() : b.tp();
  const Trait trait = {.expert = kind.expert && b.job.degrees.ep > 1};
  if (kind.te && kind.norms) norm_ = norm_parameters(b, in);
  weight_ = b.parameter({out / ranks, in}, "weight", trait);
  if (kind.bias) bias_ = b.parameter({out / ranks}, "bias", trait);
  if (!kind.expert) gathers_ = b.sequence_ranks();
}

ColumnParallelLinear::ColumnParallelLinear(const Builder& b, Tensor weight)
    : b_(b), weight_(std::move(weight)), gathers_(b.sequence_ranks()) {}

Tensor ColumnParallelLinear::operator()(const Tensor& input) const {
  const Tensor bias = skips_bias_ ? Tensor() : bias_;
  if (norm_.weight) return te_norm_linear(input, norm_, weight_, bias, gathers_, *b_.gradients);
  return te_ ? te_column_linear(input, weight_, gathers_, *b_.gradients)
             : linear(input, weight_, bias, gathers_, b_.buffer, *b_.gradients, deferred_);
}

RowParallelLinear::RowParallelLinear(const Builder& b, int64_t in, int64_t out, LinearKind kind) : b_(b), te_(kind.te) {
  const int64_t ranks = kind.expert ? b.job.degrees.expert_tp() : b.tp();
  Trait trait = {.expert = kind.expert && b.job.degrees.ep > 1};
  weight_ = b.parameter({out, in / ranks}, "weight", trait);
  trait.sums = b.job.degrees.sequence_parallel;
  if (kind.bias) bias_ = b.parameter({out}, "bias", trait);
  if (!kind.expert) scatters_ = b.sequence_ranks();
}

Tensor RowParallelLinear::operator()(const Tensor& input) const {
  if (te_) return te_linear(input, weight_, scatters_, *b_.gradients);
  Tensor output_parallel = linear(input, weight_, {}, 1, b_.buffer, *b_.gradients);
  return reduce_scatter_first(std::move(output_parallel), scatters_);
}

NormParameters norm_parameters(const Builder& b, int64_t width) {
  const Trait trait = {.on_host = !b.job.kernels.te, .sums = b.job.degrees.sequence_parallel};
  NormParameters norm;
  norm.weight = b.parameter({width}, "weight", trait);
  if (b.job.model.norm == Norm::kLayerNorm) norm.bias = b.parameter({width}, "bias", trait);
  return norm;
}

Normalization::Normalization(const Builder& b, int64_t width) : b_(b), norm_(norm_parameters(b, width)) {}

Tensor Normalization::operator()(const Tensor& input) const {
  if (b_.job.kernels.te) return te_norm(input, norm_);
  return norm_.bias ? layer_norm(input, norm_.weight, norm_.bias) : rms_norm(input, norm_.weight);
}

Tensor bias_dropout_add(const Builder& b, Tensor x, const Tensor& bias, const Tensor& residual) {
  const double p = b.job.model.hidden_dropout;
  if (b.job.kernels.compiled) return compiled_bias_dropout_add(std::move(x), bias, residual, p);
  const Tensor biased = bias ? add(x, bias) : x;
  Tensor out = dropout(biased, p);
  return add(residual, std::move(out));
}

Mlp::Mlp(const Builder& b, int64_t ffn, MlpKind kind)
    : b_(b),
      linear_fc1_(named<ColumnParallelLinear>(
          b, "linear_fc1", b.job.model.hidden, b.job.model.gated ? 2 * ffn : ffn,
          LinearKind{b.job.model.linear_bias, kind == MlpKind::kExpert, b.job.kernels.te, kind == MlpKind::kDense},
          true)),
      linear_fc2_(
          named<RowParallelLinear>(b, "linear_fc2", ffn, b.job.model.hidden,
                                   LinearKind{b.job.model.linear_bias, kind == MlpKind::kExpert, b.job.kernels.te})) {}

namespace {

Tensor activated(const Gpt& model, const Tensor& input) {
  if (!model.gated) return model.is_silu ? silu(input) : gelu(input);
  const auto [glu, linear] = split_in_two(input, input.shape().rank - 1);
  const Tensor active = model.is_silu ? silu(glu) : gelu(glu);
  const Tensor offset = add_scalar(linear);
  return mul(active, offset);
}

}  // namespace

Tensor activation(const Builder& b, const Tensor& input, const Tensor& bias) {
  if (b.job.kernels.fuses_activation) return b.job.model.gated ? swiglu(input, bias) : bias_gelu(input, bias);
  return activated(b.job.model, bias ? add(input, bias) : input);
}

Tensor weighted_activation(const Builder& b, const Tensor& input, const Tensor& bias, const Tensor& scales) {
  const Tensor of_rows = unsqueeze(scales, scales.shape().rank);
  if (b.job.kernels.fuses_activation && b.job.model.gated && !bias) return weighted_swiglu(input, of_rows);
  Tensor intermediate = activated(b.job.model, bias ? add(input, bias) : input);
  intermediate = mul(intermediate, of_rows);
  return to(intermediate, input.dtype());
}

Tensor Mlp::operator()(const Tensor& hidden_states, const Tensor& scales) const {
  const Scope scope(b_.tape, "mlp");
  Tensor intermediate = linear_fc1_(hidden_states);
  intermediate = scales ? weighted_activation(b_, intermediate, linear_fc1_.bias(), scales)
                        : activation(b_, intermediate, linear_fc1_.bias());
  return linear_fc2_(intermediate);
}

}  // namespace peakmem::mcore
