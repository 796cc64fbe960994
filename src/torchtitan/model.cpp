#include "torchtitan/model.h"

#include <utility>

#include "torchtitan/dtensor.h"
#include "torchtitan/rotary.h"
#include "trace/checkpoint.h"
#include "trace/rms_norm.h"

namespace peakmem::titan {

Tensor Builder::parameter(const Shape& shape, const char* name, bool is_replicated) const {
  replicated.push_back(is_replicated);
  return tape.parameter(shape, job.compute_dtype(), name);
}

Linear::Linear(const Builder& b, int64_t in, int64_t out) : weight_(b.parameter({out, in}, "weight")) {}

RmsNorm::RmsNorm(const Builder& b, int64_t width) : weight_(b.parameter({width}, "weight", true)) {}

// Autocast runs it in fp32.
Tensor RmsNorm::operator()(Tensor input) const {
  const Tensor weight = to_full_precision(weight_);
  return rms_norm(to_full_precision(std::move(input)), weight);
}

FeedForward::FeedForward(const Builder& b)
    : b_(b),
      w1_(named<Linear>(b, "w1", b.job.model.dim, b.job.model.ffn / b.tp())),
      w2_(named<Linear>(b, "w2", b.job.model.ffn / b.tp(), b.job.model.dim)),
      w3_(named<Linear>(b, "w3", b.job.model.dim, b.job.model.ffn / b.tp())) {}

Tensor FeedForward::operator()(const Tensor& x) const {
  const Scope scope(b_.tape, "feed_forward");
  const Tensor whole = gather_sequence(x, b_.tp());
  Tensor gate = silu(w1_(whole));
  Tensor up = w3_(whole);
  return scatter_sequence(w2_(mul(std::move(gate), std::move(up))), b_.tp());
}

TransformerBlock::TransformerBlock(const Builder& b)
    : attention_(named<Attention>(b, "attention")),
      feed_forward_(named<FeedForward>(b, "feed_forward")),
      attention_norm_(named<RmsNorm>(b, "attention_norm", b.job.model.dim)),
      ffn_norm_(named<RmsNorm>(b, "ffn_norm", b.job.model.dim)) {}

Tensor TransformerBlock::operator()(const Tensor& x, const Tensor& freqs_cis) const {
  Tensor attended;
  {
    const Tensor normed = attention_norm_(x);
    attended = attention_(normed, freqs_cis);
  }
  const Tensor h = add(x, std::move(attended));
  Tensor fed;
  {
    const Tensor normed = ffn_norm_(h);
    fed = feed_forward_(normed);
  }
  return add(h, std::move(fed));
}

namespace {

/// _op_sac_save_list of parallelize_llama, and its policy: every second product is made again.
bool keeps_output(std::string_view made_by, int64_t& products) {
  if (made_by == "mm") return ++products % 2 != 0;
  return made_by == "_scaled_dot_product_cudnn_attention" || made_by == "_scaled_dot_product_flash_attention" ||
         made_by == "reduce_scatter_tensor";
}

/// A unit of FSDP's for a part outside of layers; none where nothing is sharded.
template <class Make>
auto in_unit(Tape& tape, Outer part, int32_t unit, Make make) {
  const int32_t outer = std::exchange(tape.unit, unit);
  tape.outer.units[static_cast<size_t>(part)] = unit;
  auto made = make();
  tape.unit = outer;
  return made;
}

}  // namespace

Transformer::Transformer(const Builder& b, const Chunk& chunk) : b_(b), chunk_(chunk) {
  Tape& tape = b_.tape;
  const Model& model = b_.job.model;
  if (chunk.embeds)
    tok_embeddings_ = in_unit(tape, Outer::kEmbedding, tape.new_unit(), [&] {
      const Scope scope(tape, "tok_embeddings");
      return b_.parameter({model.vocab / b_.tp(), model.dim}, "weight");
    });
  const int32_t repeat = tape.new_repeat();
  layers_.reserve(static_cast<size_t>(chunk.layers));
  for (int64_t i = 0; i < chunk.layers; ++i) {
    tape.layer = chunk.first + i;
    tape.turn = tape.new_turn(repeat, 1);
    tape.unit = units_.emplace_back(tape.new_unit());
    const Scope scope(tape, "layers.*");
    layers_.emplace_back(b_);
  }
  tape.enter_unit(0);
  if (!chunk.heads) return;
  const int32_t tail = tape.new_unit();
  norm_ = in_unit(tape, Outer::kNorm, tail, [&] { return named<RmsNorm>(b_, "norm", model.dim); });
  output_ =
      in_unit(tape, Outer::kHead, tail, [&] { return named<Linear>(b_, "output", model.dim, model.vocab / b_.tp()); });
}

void Transformer::init_weights() {
  positions_ = empty_positions(b_.tape, b_.job);
  positions_ = make_positions(b_.tape, b_.job);
}

// FSDP casts what a layer is given and is no complex number.
Tensor Transformer::positions() const {
  const bool casts = b_.job.degrees.has_fsdp() && positions_.dtype() == DType::kFloat32;
  return casts ? to(positions_, b_.job.training.param_dtype) : positions_;
}

Tensor Transformer::run_layer(size_t i, const Tensor& h) {
  const Tensor given = positions();
  const Unit unit(b_.tape, units_[i]);
  const Scope scope(b_.tape, "layers.*");
  const Training& t = b_.job.training;
  const bool recomputes = t.recompute == Recompute::kFull || t.recompute == Recompute::kOps ||
                          (t.recompute == Recompute::kLayers && (static_cast<int64_t>(i) + 1) % t.every == 0);
  const auto call = [this, i, given](const Tensor& x, const Tensor&) { return layers_[i](x, given); };
  const CheckpointPolicy policy = {.stops_early = false,
                                   .keeps = t.recompute == Recompute::kOps ? keeps_output : nullptr};
  return checkpoint(recomputes ? Checkpointing::kFull : Checkpointing::kNone, call, h, {}, policy);
}

Tensor Transformer::embed(const Tensor& tokens) const {
  const OuterUnit outer(b_.tape, Outer::kEmbedding);
  const Scope scope(b_.tape, "tok_embeddings");
  return scatter_sequence(embedding_of_rows(tokens, tok_embeddings_, b_.tp()), b_.tp());
}

Tensor Transformer::operator()(const Tensor& input) {
  Tape& tape = b_.tape;
  const Unit unit(tape, 0);
  Tensor h = chunk_.embeds ? embed(input) : input;
  for (size_t i = 0; i < layers_.size(); ++i) h = run_layer(i, h);
  if (!chunk_.heads) return h;
  {
    const OuterUnit outer(tape, Outer::kNorm);
    const Scope scope(tape, "norm");
    h = (*norm_)(h);
  }
  const OuterUnit outer(tape, Outer::kHead);
  const Scope scope(tape, "output");
  Tensor logits = (*output_)(gather_sequence(h, b_.tp()));
  if (b_.job.training.loss_parallel) return logits;
  return gather_vocabulary(std::move(logits), b_.tp());
}

}  // namespace peakmem::titan
