#include "model/experts.h"

#include <utility>

namespace peakmem {

SparseMoe::SparseMoe(const Builder& builder) : b_(builder) {
  const Dims& d = b_.dims;
  {
    const Scope scope(b_.tape, "gate");
    router_ = b_.parameter({d.experts, d.hidden}, "weight");
  }
  const Scope scope(b_.tape, "experts");
  gate_up_proj_ = b_.parameter({d.experts, 2 * d.ffn, d.hidden}, "gate_up_proj");
  down_proj_ = b_.parameter({d.experts, d.hidden, d.ffn}, "down_proj");
}

Tensor SparseMoe::operator()(const Tensor& input) const {
  const Scope scope(b_.tape, "mlp");
  const Tensor rows = merge_dims(input, 0, 2);
  const Routing routing = route(rows);
  const Tensor mixed = experts(rows, routing.indices, routing.weights);
  return split_dim(mixed, 0, b_.dims.batch, b_.dims.seq);
}

SparseMoe::Routing SparseMoe::route(const Tensor& hidden_states) const {
  const Scope scope(b_.tape, "gate");
  const Tensor logits = linear(hidden_states, router_, Tensor());
  const Tensor probabilities = softmax(to(logits, DType::kFloat32));
  auto [values, indices] = topk(probabilities, b_.dims.experts_per_token);
  return {logits, divide_by_sum(std::move(values)), indices};
}

Tensor SparseMoe::experts(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const {
  const Scope scope(b_.tape, "experts");
  Tape& tape = b_.tape;
  const Tensor sample_weights = merge_dims(top_k_weights, 0, 2);
  const Tensor expert_ids = merge_dims(top_k_index, 0, 2);
  const Shape pairs = expert_ids.shape();  // of a token and an expert
  const Tensor sorted_ids = tape.make(pairs, DType::kInt64, "sort");
  const Tensor perm = tape.make(pairs, DType::kInt64, "sort");
  const Tensor selected = take_rows(hidden_states, tape.make(pairs, DType::kInt64, "floor_divide"));
  const Tensor selected_weights = take_rows(sample_weights, perm);
  const Tensor histc_input = tape.make(pairs, DType::kInt32, "_to_copy");
  const Tensor tokens_per_expert = tape.make({b_.dims.experts}, DType::kInt32, "histc");
  const Tensor offsets = tape.make({b_.dims.experts}, DType::kInt32, "cumsum");
  Tensor proj_out = grouped_linear(selected, gate_up_proj_, offsets);
  proj_out = apply_gate(proj_out);
  proj_out = grouped_linear(proj_out, down_proj_, offsets);
  Tensor weighted_out = mul(proj_out, unsqueeze(selected_weights, 1));
  const Tensor inv_perm = tape.make(pairs, DType::kInt64, "empty_like");
  tape.make(pairs, DType::kInt64, "arange");
  weighted_out = take_rows(weighted_out, inv_perm);
  const Tensor mixed = sum_dim(split_dim(weighted_out, 0, hidden_states.size(0), b_.dims.experts_per_token), 1);
  return to(mixed, hidden_states.dtype());
}

Tensor SparseMoe::apply_gate(const Tensor& gate_up) const {
  const auto [gate, up] = split_in_two(gate_up, 1);
  return mul(activate(b_.description.activation, gate), up);
}

}  // namespace peakmem
