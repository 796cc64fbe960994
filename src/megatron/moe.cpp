#include "megatron/moe.h"

#include <utility>

#include "megatron/routing.h"

namespace peakmem::mcore {
namespace {

/// A number of parts as even as can be.
std::vector<Expr> even(int64_t whole, int64_t parts) {
  std::vector<Expr> lengths;
  for (int64_t i = 0; i < parts; ++i) lengths.emplace_back(whole / parts + (i < whole % parts ? 1 : 0));
  return lengths;
}

/// sort_chunks_by_idxs: which chunk comes where changes no byte.
Tensor sort_chunks(const Tensor& input, const std::vector<Expr>& lengths) {
  return cat_first(split_first(input, lengths));
}

}  // namespace

MoeLayer::MoeLayer(const Builder& b) : b_(b), local_experts_(b.job.model.mixture.experts / b.job.degrees.ep) {
  {
    const Scope scope(b.tape, "router");
    const Trait trait = {.on_host = true, .casts = false, .sums = b.job.degrees.sequence_parallel};
    router_ = b.parameter({b.job.model.mixture.experts, b.job.model.hidden}, "weight", trait);
  }
  const Scope scope(b.tape, "experts");
  for (int64_t i = 0; i < local_experts_; ++i)
    experts_.push_back(std::make_unique<Mlp>(b, b.job.model.mixture.ffn, true));
}

// The balancing loss of TopKRouter._apply_aux_loss, and what is logged of it.
Tensor MoeLayer::with_aux_loss(const Tensor& probs, const Tensor& logits) {
  Tape& tape = b_.tape;
  constexpr DType kFull = DType::kFloat32;
  Tensor scores;
  Tensor map;
  {
    scores = softmax(logits, &kFull);
    const auto [values, indices] = topk(scores, b_.job.model.mixture.experts_per_token);
    map = chosen_map(logits);
  }
  const Tensor tokens_per_expert = tape.make({scores.size(1)}, DType::kInt64, "sum");
  Tensor loss;
  {
    const Tensor aggregated = sum_dim(scores, 0);
    loss = mul_scalar(sum_all(mul(aggregated, tokens_per_expert)));
  }
  {
    const NoGrad no_grad(tape);
    const Tensor logged = div_scalar(loss);
    if (!b_.router->logged) b_.router->logged = tape.make({b_.job.model.layers}, kFull, "zeros");
  }
  return attach_loss(probs, loss);
}

// TopKRouter.forward.
MoeLayer::Routing MoeLayer::route(const Tensor& hidden_states) {
  const Scope scope(b_.tape, "router");
  const Mixture& m = b_.job.model.mixture;
  constexpr DType kFull = DType::kFloat32;
  const Tensor logits = gating_linear(merge_dims(hidden_states, 0, 2), router_);
  Routing routing;
  {
    Tensor scores = logits;
    if (m.softmax_first) scores = to(softmax(scores, &kFull), logits.dtype());
    auto [values, indices] = topk(scores, m.experts_per_token);
    const Tensor probs = m.softmax_first ? values : to(softmax(values, &kFull), logits.dtype());
    routing.probs = scatter_source(logits, indices, probs);
    routing.map = chosen_map(logits);
  }
  if (m.has_aux_loss && b_.tape.grad_mode) routing.probs = with_aux_loss(routing.probs, logits);
  return routing;
}

// SequentialMLP.forward.
Tensor MoeLayer::run_experts(const Tensor& tokens, const Tensor& probs) const {
  const Scope scope(b_.tape, "experts");
  if (local_experts_ == 1) return (*experts_[0])(tokens, probs);
  const std::vector<Expr> lengths = even(tokens.size(0).number(), local_experts_);
  const std::vector<Tensor> tokens_list = split_first(tokens, lengths);
  const std::vector<Tensor> probs_list = split_first(probs, lengths);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < experts_.size(); ++i) outputs.push_back((*experts_[i])(tokens_list[i], probs_list[i]));
  return cat_first(std::move(outputs));
}

// MoELayer.forward with a MoEAlltoAllTokenDispatcher.
Tensor MoeLayer::operator()(const Tensor& hidden_states) {
  Tape& tape = b_.tape;
  const Mixture& m = b_.job.model.mixture;
  const Shape shape = hidden_states.shape();
  const Expr tokens = hidden_states.size(0) * hidden_states.size(1);
  const int64_t chosen = tokens.number() * m.experts_per_token;
  const std::vector<Expr> chunks = even(chosen, m.experts);
  Tensor dispatched, probs;
  {
    Routing routing = route(hidden_states);
    probs_ = routing.probs;
    map_ = routing.map;
  }
  const Tensor flat = merge_dims(hidden_states, 0, 2);
  {
    const Tensor counts = tape.make({m.experts}, DType::kInt64, "sum");
  }
  {
    const Tensor map = tape.make({m.experts, tokens}, DType::kBool, "clone");
    const Tensor arange = tape.make({tokens}, DType::kInt64, "arange");
    {
      const Tensor places = tape.make({chosen, 2}, DType::kInt64, "new_empty");
    }
    mapping_ = tape.make({chosen}, DType::kInt64, "masked_select");
    probs = masked_select(contiguous(transpose(probs_, 0, 1)), map, chosen);
    dispatched = index_select(flat, mapping_);
  }
  Tensor output;
  {
    const bool sorts = local_experts_ > 1;
    const Tensor sorted = sorts ? sort_chunks(dispatched, chunks) : dispatched;
    const Tensor sorted_probs = sorts ? sort_chunks(probs, chunks) : probs;
    output = run_experts(sorted, sorted_probs);
    if (sorts) output = sort_chunks(output, chunks);
  }
  output = scatter_add(output, mapping_, tokens);
  return split_dim(output, 0, shape[0], shape[1]);
}

}  // namespace peakmem::mcore
