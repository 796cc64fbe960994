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
      tp_(b.job.degrees.expert_tp()),
      router_(b),
      experts_(b, local_experts_) {
  if (b.job.model.mixture.shared_ffn == 0) return;
  const Scope scope(b.tape, "shared_experts");
  shared_experts_.emplace(b, b.job.model.mixture.shared_ffn, MlpKind::kShared);
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
  const Tensor probs = index_select(of_experts, indices, b_.has_deterministic_algorithms());
  return {index_select(flat, mapping_, b_.has_deterministic_algorithms()), probs};
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
    output = experts_(sorted, sorted_weights, lengths);
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
  return {index_select(flat, mapping_, b_.has_deterministic_algorithms()), std::move(probs)};
}

// MoELayer.forward with a MoEAlltoAllTokenDispatcher.
Tensor MoeLayer::forward(const Tensor& hidden_states) {
  const Mixture& m = b_.job.model.mixture;
  const Shape shape = hidden_states.shape();
  const Expr tokens = hidden_states.size(0) * hidden_states.size(1);
  const int64_t each = m.pads_to_capacity ? capacity_of(m, tokens.number()) : 0;
  const int64_t sent = m.pads_to_capacity ? each * m.experts : tokens.number() * m.experts_per_token;
  {
    Routing routing = router_(hidden_states);
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
  output = unpermute(output, tokens);
  return split_dim(output, 0, shape[0], shape[1]);
}

// The same with a MoEAllGatherTokenDispatcher: every rank has all tokens, and takes those of its experts.
Tensor MoeLayer::forward_gathered(const Tensor& hidden_states) {
  Tape& tape = b_.tape;
  const Shape shape = hidden_states.shape();
  const Mixture& m = b_.job.model.mixture;
  const int64_t ranks = ep_ * tp_;
  const Expr tokens = ranks * hidden_states.size(0) * hidden_states.size(1);
  Routing routing = router_(hidden_states);
  leaf_ = b_.router->leaves.current;
  const Tensor flat = merge_dims(hidden_states, 0, 2);
  Tensor map = ranks > 1 ? tape.make({tokens, routing.map.size(1)}, DType::kBool, "empty") : routing.map;
  const Tensor gathered_probs = gather_first(std::move(routing.probs), ranks);
  const Tensor gathered = gather_first(flat, ranks, &b_.buffer);
  const std::vector<Expr> mine = tokens_of_experts(tokens.number() * m.experts_per_token);
  Expr chosen = 0;
  for (const Expr& each : mine) chosen = chosen + each;
  map_ = local_experts_ == m.experts ? map : tape.make({tokens, local_experts_}, DType::kBool, "clone");
  probs_ = contiguous(slice(gathered_probs, 1, local_experts_));
  // A single column lies as its transpose does.
  const auto of_map = [&] {
    return local_experts_ == 1 ? map_ : tape.make({local_experts_, tokens}, DType::kBool, "clone");
  };
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
    dispatched = index_select(gathered, mapping_, b_.has_deterministic_algorithms());
  }
  probs_ = masked_select(contiguous(transpose(probs_, 0, 1)), of_map(), chosen);
  map.reset();
  Tensor output = experts_(dispatched, probs_, mine);
  output = unpermute(output, tokens);
  if (ranks > 1) output = to(reduce_scatter_first(to(output, probs_.dtype()), ranks), hidden_states.dtype());
  return split_dim(output, 0, shape[0], shape[1]);
}

// unpermute (moe_utils.py): deterministic algorithms make the zeros twice, and add a copy of the tokens.
Tensor MoeLayer::unpermute(const Tensor& permuted, Expr tokens) const {
  if (!b_.has_deterministic_algorithms()) return scatter_add(permuted, mapping_, tokens);
  return index_add_sorted(permuted, mapping_, tokens);
}

Tensor MoeLayer::dispatch(const Tensor& hidden_states) {
  const Tensor shared = shared_experts_ ? (*shared_experts_)(hidden_states) : Tensor();
  Tensor output = b_.job.model.mixture.dispatcher == Dispatcher::kAllGather ? forward_gathered(hidden_states)
                                                                            : forward(hidden_states);
  return shared ? add(std::move(output), shared) : output;
}

Tensor MoeLayer::operator()(const Tensor& hidden_states) {
  if (!b_.job.model.mixture.recomputes) return dispatch(hidden_states);
  const auto run = [this](const CheckpointInputs& in) { return dispatch(in[0]); };
  return checkpoint(b_.tape, run, {hidden_states, {}, {}, {}}, 1, &b_.router->leaves);
}

}  // namespace peakmem::mcore
