#include "model/experts.h"

#include <utility>

#include "trace/liger_experts.h"

namespace peakmem {

SparseMoe::SparseMoe(const Builder& builder, First first, const char* router) : b_(builder) {
  if (first == First::kRouter) make_router(router);
  make_experts();
  if (first == First::kExperts) make_router(router);
}

void SparseMoe::make_router(const char* name) {
  const Scope scope(b_.tape, name);
  router_ = AdaptedParameter(b_, b_.parameter({b_.dims.experts, b_.dims.hidden}, "weight"), name);
}

void SparseMoe::make_experts() {
  const Dims& d = b_.dims;
  const Scope scope(b_.tape, "experts");
  Tensor gate_up_proj = b_.parameter({d.experts, 2 * d.ffn, d.hidden}, "gate_up_proj");
  Tensor down_proj = b_.parameter({d.experts, d.hidden, d.ffn}, "down_proj");
  const MixtureTargets* targets = mixture_targets(b_.description.family, b_.structure.transformers);
  gate_up_proj_ = AdaptedParameter(b_, std::move(gate_up_proj), targets == nullptr ? "" : targets->gate, 2);
  down_proj_ = AdaptedParameter(b_, std::move(down_proj), targets == nullptr ? "" : targets->down);
}

Tensor SparseMoe::operator()(const Tensor& input) const {
  const Scope scope(b_.tape, "mlp");
  const Tensor rows = merge_dims(input, 0, 2);
  const Routing routing = route(rows);
  return split_dim(experts(rows, routing), 0, b_.dims.batch, b_.dims.seq);
}

Tensor SparseMoe::experts(const Tensor& rows, const Routing& routing) const {
  if (b_.structure.kernels.mlp == Kernel::kFused) return fused(rows, routing);
  const bool one_by_one = b_.structure.experts == Experts::kLoop;
  return one_by_one ? loop(rows, routing.indices, routing.weights) : grouped(rows, routing.indices, routing.weights);
}

Tensor SparseMoe::router_logits(const Tensor& hidden_states) const {
  Parametrization weight(router_);
  return linear(hidden_states, weight(), Tensor());
}

Tensor SparseMoe::full_router_logits(const Tensor& hidden_states) const {
  Parametrization weight(router_);
  Tensor rows = to(hidden_states, DType::kFloat32);
  const Tensor full = to(weight(), DType::kFloat32);
  return linear(std::move(rows), full, Tensor());
}

SparseMoe::Routing SparseMoe::route(const Tensor& hidden_states) const {
  const Scope scope(b_.tape, "gate");
  const Tensor logits = router_logits(hidden_states);
  const Tensor probabilities = softmax(to(logits, DType::kFloat32));
  auto [values, indices] = topk(probabilities, b_.dims.experts_per_token);
  if (b_.description.normalizes_routing) values = divide_by_sum(std::move(values));
  if (b_.description.casts_routing) values = to(std::move(values), logits.dtype());
  return {logits, values, indices};
}

Tensor SparseMoe::fused(const Tensor& rows, const Routing& routing) const {
  const Scope scope(b_.tape, "experts");
  Parametrization down_proj(down_proj_), gate_up_proj(gate_up_proj_);
  return liger_experts(rows, gate_up_proj(), down_proj(),
                       {routing.indices, routing.weights, b_.description.experts_per_token});
}

SortedPairs::SortedPairs(const Builder& b, const Tensor& hidden_states, const Tensor& top_k_index,
                         const Tensor& top_k_weights)
    : b_(b), hidden_states_(hidden_states) {
  Tape& tape = b_.tape;
  sample_weights_ = merge_dims(top_k_weights, 0, 2);
  unsorted_ids_ = merge_dims(top_k_index, 0, 2);
  const KeptShape& pairs = unsorted_ids_.shape();
  sorted_ids_ = tape.make(pairs, DType::kInt64, "sort");
  perm_ = tape.make(pairs, DType::kInt64, "sort");
  selected_ = take_rows(hidden_states, tape.make(pairs, DType::kInt64, "floor_divide"));
  selected_weights_ = take_rows(sample_weights_, perm_);
  histc_input_ = tape.make(pairs, DType::kInt32, "_to_copy");
  tokens_per_expert_ = tape.make({b_.dims.experts}, DType::kInt32, "histc");
  offsets_ = tape.make({b_.dims.experts}, DType::kInt32, "cumsum");
}

Tensor SortedPairs::mix(const Tensor& proj_out) const {
  Tape& tape = b_.tape;
  Tensor weighted_out = mul(proj_out, unsqueeze(selected_weights_, 1));
  const Tensor inv_perm = tape.make(perm_.shape(), DType::kInt64, "empty_like");
  tape.make(perm_.shape(), DType::kInt64, "arange");
  weighted_out = take_rows(weighted_out, inv_perm);
  const Tensor mixed = sum_dim(split_dim(weighted_out, 0, hidden_states_.size(0), b_.dims.experts_per_token), 1);
  return to(mixed, hidden_states_.dtype());
}

Tensor SparseMoe::grouped(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const {
  const Scope scope(b_.tape, "experts");
  Parametrization down_proj(down_proj_), gate_up_proj(gate_up_proj_);  // the outer of two wrappers first
  const SortedPairs pairs(b_, hidden_states, top_k_index, top_k_weights);
  Tensor proj_out = grouped_linear(pairs.selected(), gate_up_proj(), pairs.offsets());
  proj_out = apply_gate(proj_out);
  proj_out = grouped_linear(proj_out, down_proj(), pairs.offsets());
  return pairs.mix(proj_out);
}

// A token goes to different experts, so the busiest gets each token once at most. Of the others the last takes up what
// division leaves: all rows together are as many as balanced ones.
Expr rows_of_expert(const Builder& b, int64_t expert) {
  const Dims& d = b.dims;
  const Imbalance& imbalance = b.structure.imbalance;
  const int64_t experts = b.structure.expert_turns;
  const int64_t others = experts - 1;
  const Expr share = ceil_div(d.batch * d.seq * d.experts_per_token, experts);
  if (imbalance.balanced() || others == 0) return share;
  const Expr busiest = least(ceil_div(imbalance.over * share, imbalance.under), d.batch * d.seq);
  if (expert == imbalance.busiest) return busiest;
  const Expr rest = experts * share - busiest;
  const Expr rounded_down = ceil_div(rest - (others - 1), others);
  const int64_t last = imbalance.busiest == others ? others - 1 : others;
  return expert == last ? rest - (others - 1) * rounded_down : rounded_down;
}

std::array<Tensor, 2> tokens_of_expert(const Builder& b, int64_t expert) {
  const Expr rows = rows_of_expert(b, expert);
  const Tensor pairs = b.tape.make({rows, 2}, DType::kInt64, "nonzero");
  return {b.tape.look(pairs, {rows}, true), b.tape.look(pairs, {rows}, true)};
}

Tensor SparseMoe::loop(const Tensor& hidden_states, const Tensor& top_k_index, const Tensor& top_k_weights) const {
  const Scope scope(b_.tape, "experts");
  Tape& tape = b_.tape;
  const Expr experts = b_.dims.experts;
  Parametrization down_proj(down_proj_), gate_up_proj(gate_up_proj_);
  Tensor final_hidden_states = tape.make(hidden_states.shape(), hidden_states.dtype(), "zeros_like");
  const Tensor expert_mask =
      tape.make({top_k_index.size(0), top_k_index.size(1), experts + 1}, DType::kInt64, "one_hot");
  Tensor tokens = tape.make({experts + 1}, DType::kInt64, "sum");
  Tensor hit = tape.make({experts + 1}, DType::kBool, "gt");
  tokens.reset();
  const Tensor expert_hit = tape.make({experts, 1}, DType::kInt64, "nonzero");
  hit.reset();
  std::array<Tensor, 2> where, gate_up;  // names of the loop's body live on into its next turn
  Tensor current_state, current_hidden_states;
  for (int64_t i = 0; i < b_.structure.expert_turns; ++i) {
    where = tokens_of_expert(b_, i);
    const auto& [top_k_pos, token_idx] = where;
    current_state = take_rows(hidden_states, token_idx);
    gate_up = split_in_two(linear(current_state, select_row(gate_up_proj()), Tensor()), 1);
    current_hidden_states = mul(activate(b_.description.activation, gate_up[0]), gate_up[1]);
    current_hidden_states = linear(current_hidden_states, select_row(down_proj()), Tensor());
    current_hidden_states = mul(current_hidden_states, index_rows(unsqueeze(top_k_weights, 2), token_idx, top_k_pos));
    final_hidden_states = index_add(final_hidden_states, token_idx, to(current_hidden_states, hidden_states.dtype()));
  }
  return final_hidden_states;
}

Tensor SparseMoe::apply_gate(const Tensor& gate_up) const {
  const auto [gate, up] = split_in_two(gate_up, 1);
  return mul(activate(b_.description.activation, gate), up);
}

void read_experts(Fields& fields, Description& d, int64_t experts, int64_t per_token) {
  d.experts = fields.size("num_local_experts", experts, "num_experts");
  d.experts_per_token = fields.size("num_experts_per_tok", per_token);
  if (d.experts_per_token > d.experts)
    fields.fail("num_experts_per_tok",
                "is " + std::to_string(d.experts_per_token) + " of " + std::to_string(d.experts) + " experts");
  fields.refuse_flag("output_router_logits", false, "keeps every layer's router logits for the auxiliary loss");
  fields.ignore({"router_aux_loss_coef"});
}

}  // namespace peakmem
