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

MoeLayer::MoeLayer(const Builder& b)
    : b_(b),
      local_experts_(b.job.model.mixture.experts / b.job.degrees.ep),
      first_expert_(place_of(b.job.degrees, b.job.rank).expert * local_experts_),
      ep_(b.job.degrees.ep),
      tp_(b.job.degrees.expert_tp()) {
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
  if (m.capacity_percent > 0) {
    Capped capped = drop_beyond(routing.probs, capacity(logits.size(0).number()));
    routing = {std::move(capped.probs), std::move(capped.map)};
  }
  if (m.has_aux_loss && b_.tape.grad_mode) routing.probs = with_aux_loss(routing.probs, logits);
  return routing;
}

// SequentialMLP.forward.
Tensor MoeLayer::run_experts(const Tensor& tokens, const Tensor& probs, const std::vector<Expr>& lengths) const {
  const Scope scope(b_.tape, "experts");
  if (local_experts_ == 1) return (*experts_[0])(tokens, probs);
  const std::vector<Tensor> tokens_list = split_first(tokens, lengths);
  const std::vector<Tensor> probs_list = split_first(probs, lengths);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < experts_.size(); ++i) outputs.push_back((*experts_[i])(tokens_list[i], probs_list[i]));
  return cat_first(std::move(outputs));
}

// get_capacity (moe_utils.py).
int64_t MoeLayer::capacity(int64_t tokens) const {
  const Mixture& m = b_.job.model.mixture;
  const int64_t percent = tokens * m.experts_per_token * m.capacity_percent;
  return (percent + 100 * m.experts - 1) / (100 * m.experts);
}

// permute (moe_utils.py) with drop_and_pad: the first `each` tokens of every expert, found by sorting.
MoeLayer::Permuted MoeLayer::permute_padded(const Tensor& flat, int64_t each) {
  Tape& tape = b_.tape;
  const Expr experts = b_.job.model.mixture.experts;
  const Expr tokens = flat.size(0);
  Tensor map;
  {
    const Tensor small = tape.make({tokens, experts}, DType::kInt8, "_to_copy");
    map = tape.make({experts, tokens}, DType::kInt8, "clone");
  }
  {
    Tensor sorted = tape.make({experts, tokens}, DType::kInt8, "sort");
    const Tensor places = tape.make({experts, tokens}, DType::kInt64, "sort");
    sorted.reset();
    mapping_ = tape.make({experts * each}, DType::kInt64, "clone");
  }
  const Tensor of_experts = merge_dims(contiguous(transpose(probs_, 0, 1)), 0, 2);
  const Tensor first = tape.make({experts, 1}, DType::kInt64, "arange");
  Tensor indices;
  {
    const Tensor times = tape.make({experts, 1}, DType::kInt64, "mul");
    indices = tape.make({experts * each}, DType::kInt64, "add");
  }
  const Tensor probs = index_select(of_experts, indices);
  return {index_select(flat, mapping_), probs};
}

// Chunks of equal length in another order: one copy.
Tensor MoeLayer::reorder(const Tensor& x, int64_t outer, int64_t inner) const {
  const int64_t each = x.size(0).number() / (outer * inner);
  Tensor chunks = split_dim(split_dim(x, 0, outer * inner, each), 0, outer, inner);
  return merge_dims(contiguous(transpose(chunks, 0, 1)), 0, 3);
}

void MoeLayer::count_tokens() const {
  Tape& tape = b_.tape;
  const int64_t experts = b_.job.model.mixture.experts;
  const auto numbers = [&](int64_t count) { return tape.make({count}, DType::kInt64, "sum"); };
  Tensor local = numbers(experts);
  if (ep_ * tp_ == 1) return;
  const Tensor input_splits = numbers(ep_);
  Tensor gathered = numbers(ep_ * tp_ * experts);
  const Tensor of_this_rank = numbers(ep_ * tp_ * local_experts_);
  const Tensor of_ranks = numbers(ep_ * tp_);
  const Tensor output_splits = numbers(tp_);
  const Tensor of_experts = numbers(local_experts_);
  local.reset();
  gathered.reset();
}

std::vector<Expr> MoeLayer::tokens_of_experts(int64_t sent) const {
  const std::vector<Expr> all = even(sent, b_.job.model.mixture.experts);
  const auto first = all.begin() + static_cast<ptrdiff_t>(first_expert_);
  return {first, first + static_cast<ptrdiff_t>(local_experts_)};
}

Tensor MoeLayer::compute(const Tensor& received, const Tensor& probs, const std::vector<Expr>& mine) const {
  const Tensor tokens = gather_first(received, tp_);
  const Tensor weights = gather_first(probs, tp_);
  std::vector<Expr> chunks;
  for (int64_t i = 0; i < ep_ * tp_; ++i) chunks.insert(chunks.end(), mine.begin(), mine.end());
  const bool sorts = local_experts_ > 1;
  Tensor output;
  {
    const bool pads = b_.job.model.mixture.pads_to_capacity;
    const auto by_expert = [&](const Tensor& x) {
      if (!sorts) return x;
      return pads ? reorder(x, ep_ * tp_, local_experts_) : sort_chunks(x, chunks);
    };
    const Tensor sorted = by_expert(tokens);
    const Tensor sorted_weights = by_expert(weights);
    std::vector<Expr> lengths;
    for (const Expr& each : mine) lengths.push_back(ep_ * tp_ * each);
    output = run_experts(sorted, sorted_weights, lengths);
  }
  if (sorts && b_.job.model.mixture.pads_to_capacity)
    output = reorder(output, local_experts_, ep_ * tp_);
  else if (sorts)
    output = sort_chunks(output, chunks);
  return reduce_scatter_first(output, tp_);
}

// permute (moe_utils.py): so many tokens as were chosen, in the experts' order.
MoeLayer::Permuted MoeLayer::permute(const Tensor& flat, int64_t sent) {
  Tape& tape = b_.tape;
  const Expr tokens = flat.size(0);
  const Tensor map = tape.make({b_.job.model.mixture.experts, tokens}, DType::kBool, "clone");
  const Tensor arange = tape.make({tokens}, DType::kInt64, "arange");
  {
    const Tensor places = tape.make({sent, 2}, DType::kInt64, "new_empty");
  }
  mapping_ = tape.make({sent}, DType::kInt64, "masked_select");
  Tensor probs = masked_select(contiguous(transpose(probs_, 0, 1)), map, sent);
  return {index_select(flat, mapping_), std::move(probs)};
}

// MoELayer.forward with a MoEAlltoAllTokenDispatcher.
Tensor MoeLayer::forward(const Tensor& hidden_states) {
  const Mixture& m = b_.job.model.mixture;
  const Shape shape = hidden_states.shape();
  const Expr tokens = hidden_states.size(0) * hidden_states.size(1);
  const int64_t each = m.pads_to_capacity ? capacity(tokens.number()) : 0;
  const int64_t sent = m.pads_to_capacity ? each * m.experts : tokens.number() * m.experts_per_token;
  {
    Routing routing = route(hidden_states);
    probs_ = routing.probs;
    map_ = routing.map;
    leaf_ = b_.router->leaves.current;
  }
  if (!m.pads_to_capacity) count_tokens();
  Tensor dispatched;
  Tensor probs;
  {
    const Tensor flat = merge_dims(hidden_states, 0, 2);
    Permuted permuted = m.pads_to_capacity ? permute_padded(flat, each) : permute(flat, sent);
    dispatched = std::move(permuted.tokens);
    probs = std::move(permuted.probs);
  }
  const std::vector<Expr> mine = tokens_of_experts(sent);
  Expr rows = 0;
  for (const Expr& each : mine) rows = rows + ep_ * each;
  const Tensor received = all_to_all(dispatched, rows, ep_);
  probs = all_to_all(probs, rows, ep_);
  Tensor output = compute(received, probs, mine);
  output = all_to_all(output, sent, ep_);
  output = scatter_add(output, mapping_, tokens);
  return split_dim(output, 0, shape[0], shape[1]);
}

// The same with a MoEAllGatherTokenDispatcher: every rank has all tokens, and takes those of its experts.
Tensor MoeLayer::forward_gathered(const Tensor& hidden_states) {
  Tape& tape = b_.tape;
  const Shape shape = hidden_states.shape();
  const int64_t ranks = ep_ * tp_;
  const Expr tokens = ranks * hidden_states.size(0) * hidden_states.size(1);
  Routing routing = route(hidden_states);
  leaf_ = b_.router->leaves.current;
  const Tensor flat = merge_dims(hidden_states, 0, 2);
  Tensor map = ranks > 1 ? tape.make({tokens, routing.map.size(1)}, DType::kBool, "empty") : routing.map;
  const Tensor gathered_probs = gather_first(std::move(routing.probs), ranks);
  const Tensor gathered = gather_first(flat, ranks, &b_.buffer);
  const std::vector<Expr> mine = tokens_of_experts(tokens.number() * b_.job.model.mixture.experts_per_token);
  Expr chosen = 0;
  for (const Expr& each : mine) chosen = chosen + each;
  map_ = tape.make({tokens, local_experts_}, DType::kBool, "clone");
  probs_ = contiguous(slice(gathered_probs, 1, local_experts_));
  const auto of_map = [&] { return tape.make({local_experts_, tokens}, DType::kBool, "clone"); };
  {
    const Tensor counts = tape.make({local_experts_}, DType::kInt64, "sum");
  }
  Tensor dispatched;
  {
    const Tensor transposed_map = of_map();
    const Tensor arange = tape.make({tokens}, DType::kInt64, "arange");
    {
      const Tensor places = tape.make({chosen, 2}, DType::kInt64, "new_empty");
    }
    mapping_ = tape.make({chosen}, DType::kInt64, "masked_select");
    dispatched = index_select(gathered, mapping_);
  }
  probs_ = masked_select(contiguous(transpose(probs_, 0, 1)), of_map(), chosen);
  map.reset();
  Tensor output = run_experts(dispatched, probs_, mine);
  output = scatter_add(output, mapping_, tokens);
  output = reduce_scatter_first(output, ranks);
  return split_dim(output, 0, shape[0], shape[1]);
}

Tensor MoeLayer::dispatch(const Tensor& hidden_states) {
  return b_.job.model.mixture.dispatcher == Dispatcher::kAllGather ? forward_gathered(hidden_states)
                                                                   : forward(hidden_states);
}

Tensor MoeLayer::operator()(const Tensor& hidden_states) {
  if (!b_.job.model.mixture.recomputes) return dispatch(hidden_states);
  const auto run = [this](const CheckpointInputs& in) { return dispatch(in[0]); };
  return checkpoint(b_.tape, run, {hidden_states, {}, {}, {}}, 1, &b_.router->leaves);
}

}  // namespace peakmem::mcore
