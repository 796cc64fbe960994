#include "megatron/router.h"

#include <utility>

#include "megatron/moe.h"
#include "megatron/routing.h"

namespace peakmem::mcore {

int64_t capacity_of(const Mixture& mixture, int64_t tokens) {
  const int64_t percent = tokens * mixture.experts_per_token * mixture.capacity_percent;
  return (percent + 100 * mixture.experts - 1) / (100 * mixture.experts);
}

TopKRouter::TopKRouter(const Builder& b) : b_(b) {
  const Scope scope(b.tape, "router");
  const Trait trait = {.on_host = true, .casts = false, .sums = b.job.degrees.sequence_parallel};
  weight_ = b.parameter({b.job.model.mixture.experts, b.job.model.hidden}, "weight", trait);
}

// The balancing loss of _apply_aux_loss, and what is logged of it.
Tensor TopKRouter::with_aux_loss(const Tensor& probs, const Tensor& logits) {
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

// sinkhorn_load_balancing: the iteration is evened out of any graph; what weighs is a sigmoid of the logits, or their
// softmax where several are chosen.
Routing TopKRouter::sinkhorn(const Tensor& logits) const {
  constexpr DType kFull = DType::kFloat32;
  const int64_t k = b_.job.model.mixture.experts_per_token;
  Tensor scores;
  Routing routing;
  {
    Tensor evened;
    Tensor values;
    Tensor indices;
    {
      const NoGrad no_grad(b_.tape);
      evened = sinkhorn_iteration(logits);
      auto [largest, places] = topk(evened, k);
      values = std::move(largest);
      indices = std::move(places);
    }
    scores = k == 1 ? sigmoid(logits) : to(softmax(logits, &kFull), logits.dtype());
    routing.map = chosen_map(scores);
    routing.probs = masked(scores, routing.map);
  }
  return routing;
}

// topk_routing_with_score_function.
Routing TopKRouter::top_k(const Tensor& logits) const {
  const Mixture& m = b_.job.model.mixture;
  constexpr DType kFull = DType::kFloat32;
  Tensor scores = logits;
  if (m.softmax_first) scores = to(softmax(scores, &kFull), logits.dtype());
  auto [values, indices] = topk(scores, m.experts_per_token);
  const Tensor probs = m.softmax_first ? values : to(softmax(values, &kFull), logits.dtype());
  const bool puts = b_.has_deterministic_algorithms();
  Routing routing;
  routing.probs = puts ? put_source(logits, indices, probs) : scatter_source(logits, indices, probs);
  routing.map = puts ? put_map(logits, probs) : chosen_map(logits);
  return routing;
}

Routing TopKRouter::operator()(const Tensor& hidden_states) {
  const Scope scope(b_.tape, "router");
  const Mixture& m = b_.job.model.mixture;
  const DType dtype = m.routes_in_full ? DType::kFloat32 : hidden_states.dtype();
  if (b_.job.kernels.te_is_there && !b_.te->workspace)
    b_.te->workspace = b_.tape.make({te_workspace_bytes(b_.job.processor)}, DType::kUInt8, "te_workspace");
  const Tensor logits = gating_linear(merge_dims(hidden_states, 0, 2), weight_, dtype, b_.job.kernels.te_is_there);
  Routing routing = m.router == Router::kSinkhorn ? sinkhorn(logits) : top_k(logits);
  if (m.capacity_percent > 0) {
    Capped capped = drop_beyond(routing.probs, capacity_of(m, logits.size(0).number()));
    routing = {std::move(capped.probs), std::move(capped.map)};
  }
  if (m.has_aux_loss && b_.tape.grad_mode) routing.probs = with_aux_loss(routing.probs, logits);
  return routing;
}

}  // namespace peakmem::mcore
