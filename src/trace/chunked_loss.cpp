#include "trace/hooks.h"
#include "trace/ops.h"
#include "trace/workspace.h"

namespace peakmem {
namespace {

constexpr DType kFull = DType::kFloat32;

// x[mask] of so many elements. Its gradient is zeros filled in place.
void masked_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(contiguous(g.input_shape(0)), g.in[0].dtype(), "new_zeros");
}
const Op kIndex = {"index", masked_backward};

Tensor select_unmasked(Tensor input, const Tensor& mask, Expr count) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kIndex, {&x});
  tape.save(node, mask);
  Tensor result = tape.make(x.shape().rank > 2 ? Shape{count, x.size(2)} : Shape{count}, x.dtype(), kIndex.name);
  Tape::attach(node, result);
  return result;
}

void scatter_backward(Gradients& g) {
  g.out[0] = g.in[0].tape().make(g.input_shape(0), g.in[0].dtype(), "masked_scatter_backward");
}
const Op kMaskedScatter = {"masked_scatter", scatter_backward};

/// x.new_zeros(mask.shape).masked_scatter(mask, x)
Tensor scattered(const Tensor& input, const Tensor& mask) {
  Tape& tape = input.tape();
  const Tensor zeros = tape.make(mask.shape(), input.dtype(), "new_zeros");
  Node* node = tape.record(kMaskedScatter, {&input});
  tape.save(node, mask);
  Tensor result = tape.make(mask.shape(), input.dtype(), kMaskedScatter.name);
  Tape::attach(node, result);
  return result;
}

void divide_backward(Gradients& g) { g.out[0] = div_scalar(g.in[0]); }
const Op kDivide = {"div", divide_backward};

/// x / count of two scalars, where only x wants a gradient.
Tensor divide_counted(Tensor input, const Tensor& count) {
  const Tensor x = std::move(input);
  Tape& tape = x.tape();
  Node* node = tape.record(kDivide, {&x});
  tape.save(node, count);
  Tensor result = tape.make({}, x.dtype(), kDivide.name);
  Tape::attach(node, result);
  return result;
}

const Op kChunkedLogProb = {"chunked_log_prob", run_function};

/// Who wraps the model is told that its weight is used here (maybe_gather_lm_head_ctx).
void say_used(const Tensor& weight) {
  if (Hooks* hooks = weight.tape().hooks) hooks->before_use(weight);
}

/// The loops over tiles of tokens and vocabulary, in forward and backward pass.
struct Tiles {
  Pieces tokens;
  Pieces vocabulary;
  DType compute = kFull;

  Tensor buffer(Tape& tape) const {
    return tape.make({least(tokens.all, tokens.each), vocabulary.each}, compute, kChunkedLogProb.name);
  }
  /// What is cast on the way and stays named: the last tokens, and in the backward pass the weight, which so is there
  /// until the next turn's has been made.
  struct Casts {
    Tensor hidden_chunk, weight_chunk;
  };
  Casts run(const Tensor& hidden, const Tensor& weight, bool names_weight) const {
    Tape& tape = hidden.tape();
    Casts last;
    for (const Expr rows : sizes_of(tokens)) {
      if (hidden.dtype() != compute) last.hidden_chunk = tape.make({rows, hidden.size(1)}, compute, "_to_copy");
      for (const Expr columns : sizes_of(vocabulary)) {
        Tensor cast;
        if (weight.dtype() != compute) cast = tape.make({columns, weight.size(1)}, compute, "_to_copy");
        run_product(tape);
        if (names_weight) last.weight_chunk = std::move(cast);
      }
    }
    return last;
  }
};

void log_prob_backward(Gradients& g, const Tiles& tiles) {
  const Tensor hidden = g.saved(0);
  const Tensor weight = g.saved(1);
  Tape& tape = hidden.tape();
  say_used(weight);
  Tensor grad_hidden, grad_weight;
  if (g.needs(0)) grad_hidden = tape.make(contiguous(hidden.shape()), kFull, "zeros");
  if (g.needs(1)) grad_weight = tape.make(contiguous(weight.shape()), kFull, "zeros");
  const Tensor mm_buf = tiles.buffer(tape);
  const Tiles::Casts casts = tiles.run(hidden, weight, true);
  for (const bool made : {true, g.needs(0), g.needs(1)})  // the logits again, and both gradients
    if (made) count_product(mm_buf, hidden.size(0), hidden.size(1), weight.size(0));
  if (g.needs(0)) g.out[0] = to(grad_hidden, hidden.dtype());
  if (g.needs(1)) g.out[1] = to(grad_weight, weight.dtype());
}

/// What the function gives for every token; in the order in which it is put in its place.
struct PerToken {
  Tensor log_probs, entropy, mean_logits, is_top1;
};

PerToken log_probs(const Tensor& hidden, const Tensor& weight, const Tensor& targets, const Tiles& tiles,
                   const ChunkedOutputs& outputs) {
  Tape& tape = hidden.tape();
  Node* node = tape.record(kChunkedLogProb, {&hidden, &weight});
  const NoGrad no_grad(tape);
  const Shape tokens = {hidden.size(0)};
  const auto make = [&](DType dtype, const char* name) { return tape.make(tokens, dtype, name); };
  std::array<Tensor, 7> statistics;
  for (Tensor& statistic : statistics) statistic = make(kFull, kChunkedLogProb.name);
  const Tensor mm_buf = tiles.buffer(tape);
  const Tiles::Casts casts = tiles.run(hidden, weight, false);
  count_product(mm_buf, hidden.size(0), hidden.size(1), weight.size(0));
  Tensor logarithm = make(kFull, "log");
  const Tensor log_z = make(kFull, "add");
  logarithm.reset();
  PerToken result;
  result.log_probs = make(kFull, "sub");
  if (outputs.entropy) {
    const Tensor quotient = make(kFull, "div");
    result.entropy = make(kFull, "sub");
  }
  if (outputs.mean_logits) result.mean_logits = make(kFull, "div");
  if (outputs.is_top1) {
    const Tensor as_large = make(DType::kBool, "ge");
    const Tensor first = make(DType::kBool, "gt");
    result.is_top1 = make(DType::kBool, "bitwise_and");
  }
  Tape::attach(node, result.log_probs);
  for (const Tensor* saved : {&hidden, &weight, &targets, &log_z}) tape.save(node, *saved);
  if (outputs.entropy) {
    Tape::attach(node, result.entropy, 1);
    tape.save_output(node, result.entropy);
  }
  if (node != nullptr) node->function = [tiles](Gradients& g) { log_prob_backward(g, tiles); };
  return result;
}

/// What FusedCausalLMOutput holds, until only its loss is taken.
PerToken in_place_of(const PerToken& flat, const Tensor& mask) {
  PerToken placed;
  for (Tensor PerToken::* one : {&PerToken::log_probs, &PerToken::entropy, &PerToken::mean_logits, &PerToken::is_top1})
    if (flat.*one) placed.*one = scattered(flat.*one, mask);
  return placed;
}

}  // namespace

ChunkedLoss chunked_log_prob_loss(const Tensor& hidden_states, const Tensor& weight, const Tensor& labels,
                                  const Pieces& tokens, const Pieces& vocabulary, const ChunkedOutputs& outputs) {
  Tape& tape = hidden_states.tape();
  const Expr targets = labels.size(1) - 1;
  const Tensor shifted = slice(hidden_states, 1, targets);
  const Tensor next = slice(labels, 1, targets);
  const Tensor mask = tape.make(next.shape(), DType::kBool, "ne");
  PerToken per_token;
  {
    const Tiles tiles = {tokens, vocabulary, tape.autocast.enabled ? tape.autocast.dtype : hidden_states.dtype()};
    PerToken flat;
    {
      say_used(weight);
      const Tensor hidden = select_unmasked(shifted, mask, tokens.all);
      const Tensor chosen = select_unmasked(next, mask, tokens.all);
      flat = log_probs(hidden, weight, chosen, tiles, outputs);
    }
    per_token = in_place_of(flat, mask);
  }
  const Tensor total = neg(sum_all(per_token.log_probs));
  tape.make({}, DType::kInt64, "sum");
  const Tensor count = tape.make({}, DType::kInt64, "clamp");
  Tensor loss = divide_counted(total, count);
  return {std::move(loss), per_token.log_probs, per_token.entropy, per_token.mean_logits, per_token.is_top1, mask};
}

}  // namespace peakmem
