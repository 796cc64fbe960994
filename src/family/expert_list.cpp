#include "family/expert_list.h"

#include <utility>

#include "model/experts.h"

namespace peakmem {
namespace {

std::vector<Expert> list_of_experts(const Builder& b) {
  const Scope scope(b.tape, "experts");
  std::vector<Expert> experts;
  for (int64_t i = 0; i < b.structure.expert_turns; ++i) experts.push_back(named<Expert>(b, "*"));
  return experts;
}

}  // namespace

Expert::Expert(const Builder& builder)
    : b(builder),
      w1(b, "w1", b.dims.hidden, b.dims.ffn, false, b.structure.dequantizes_experts),
      w2(b, "w2", b.dims.ffn, b.dims.hidden, false, b.structure.dequantizes_experts),
      w3(b, "w3", b.dims.hidden, b.dims.ffn, false, b.structure.dequantizes_experts) {}

Tensor Expert::operator()(const Tensor& hidden_states) const {
  const Scope list(b.tape, "experts");
  const Scope scope(b.tape, "*");
  Tensor gated = activate(b.description.activation, w1(hidden_states));
  Tensor up = w3(hidden_states);
  Tensor current_hidden_states = mul(std::move(gated), std::move(up));
  current_hidden_states = w2(current_hidden_states);
  return current_hidden_states;
}

ExpertList::ExpertList(const Builder& builder)
    : b_(builder), gate_(b_, "gate", b_.dims.hidden, b_.dims.experts, false), experts_(list_of_experts(b_)) {}

Tensor ExpertList::operator()(const Tensor& input) const {
  const Scope scope(b_.tape, kHeldAs<ExpertList>);
  constexpr DType kFull = DType::kFloat32;
  Tape& tape = b_.tape;
  const Tensor hidden_states = merge_dims(input, 0, 2);
  const Tensor router_logits = gate_(hidden_states);
  Tensor routing_weights = softmax(router_logits, &kFull);
  auto [values, selected_experts] = topk(std::move(routing_weights), b_.dims.experts_per_token);
  routing_weights = to(divide_by_sum(std::move(values)), hidden_states.dtype());
  Tensor final_hidden_states = tape.make(hidden_states.shape(), hidden_states.dtype(), "zeros");
  const KeptShape& choices = selected_experts.shape();
  const Tensor expert_mask = tape.make({choices[0], choices[1], b_.dims.experts}, DType::kInt64, "one_hot");
  std::array<Tensor, 2> where;  // names of the loop's body live on into its next turn
  Tensor current_state, current_hidden_states;
  for (size_t i = 0; i < experts_.size(); ++i) {
    where = tokens_of_expert(b_, static_cast<int64_t>(i));
    const auto& [idx, top_x] = where;
    current_state = take_rows(hidden_states, top_x);
    Tensor output = experts_[i](current_state);  // before the weights: the order of arguments is C++'s own
    current_hidden_states = mul(std::move(output), index_rows(unsqueeze(routing_weights, 2), top_x, idx));
    final_hidden_states = index_add(final_hidden_states, top_x, to(current_hidden_states, hidden_states.dtype()));
  }
  return split_dim(final_hidden_states, 0, b_.dims.batch, b_.dims.seq);
}

}  // namespace peakmem
