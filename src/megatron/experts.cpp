#include "megatron/experts.h"

#include <utility>

#include "megatron/routing.h"

namespace peakmem::mcore {

Experts::Experts(const Builder& b, int64_t count) : b_(b) {
  const Scope scope(b.tape, "experts");
  const Gpt& model = b.job.model;
  const int64_t ffn = model.mixture.ffn;
  if (!model.mixture.grouped) {
    for (int64_t i = 0; i < count; ++i) mlps_.push_back(std::make_unique<Mlp>(b, ffn, MlpKind::kExpert));
    return;
  }
  const Trait trait = {.expert = b.job.degrees.ep > 1};
  const int64_t each = ffn / b.job.degrees.expert_tp();
  const auto weights = [&](const char* name, const Shape& shape, std::vector<Tensor>& made) {
    const Scope of_linear(b.tape, name);
    for (int64_t i = 0; i < count; ++i) made.push_back(b.parameter(shape, "weight", trait));
  };
  weights("linear_fc1", {model.gated ? 2 * each : each, model.hidden}, linear_fc1_);
  weights("linear_fc2", {model.hidden, each}, linear_fc2_);
}

// SequentialMLP.forward.
Tensor Experts::one_by_one(const Tensor& tokens, const Tensor& probs, const std::vector<Expr>& lengths) const {
  if (mlps_.size() == 1) return (*mlps_[0])(tokens, probs);
  const std::vector<Tensor> tokens_list = split_first(tokens, lengths);
  const std::vector<Tensor> probs_list = split_first(probs, lengths);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < mlps_.size(); ++i) outputs.push_back((*mlps_[i])(tokens_list[i], probs_list[i]));
  return cat_first(std::move(outputs));
}

// TEGroupedMLP.forward.
Tensor Experts::at_once(const Tensor& tokens, const Tensor& probs) const {
  const Scope scope(b_.tape, "mlp");
  for (Tensor& workspace : b_.te->grouped_workspaces)
    if (!workspace)
      workspace = b_.tape.make({te_workspace_bytes(b_.job.processor)}, DType::kUInt8, "get_cublas_workspace");
  const Tensor fc1_output = te_grouped_linear(tokens, linear_fc1_, *b_.gradients);
  const Tensor intermediate = weighted_activation(b_, fc1_output, {}, probs);
  return te_grouped_linear(intermediate, linear_fc2_, *b_.gradients);
}

Tensor Experts::operator()(const Tensor& tokens, const Tensor& probs, const std::vector<Expr>& lengths) const {
  const Scope scope(b_.tape, "experts");
  return mlps_.empty() ? at_once(tokens, probs) : one_by_one(tokens, probs, lengths);
}

}  // namespace peakmem::mcore
