#include "megatron/gpt.h"

#include <utility>

#include "megatron/checkpoint.h"

namespace peakmem::mcore {

namespace {

/// A norm of its own, where the spec has one: `fuses` is whether TransformerEngine has it in the product behind.
std::optional<Normalization> own_norm(const Builder& b, const char* name, bool fuses) {
  if (b.job.kernels.te && fuses) return std::nullopt;
  return named<Normalization>(b, name, b.job.model.hidden);
}

Tensor normalised(const std::optional<Normalization>& norm, const Tensor& input) {
  return norm ? (*norm)(input) : input;
}

}  // namespace

TransformerLayer::TransformerLayer(const Builder& b)
    : b_(b),
      input_layernorm_(own_norm(b, "input_layernorm", true)),
      self_attention_(named<SelfAttention>(b, "self_attention")),
      pre_mlp_layernorm_(own_norm(b, "pre_mlp_layernorm", b.job.model.mixture.experts == 0)) {
  const Scope scope(b.tape, "mlp");
  if (b.job.model.mixture.experts > 0)
    moe_.emplace(b);
  else
    mlp_.emplace(b, b.job.model.ffn, MlpKind::kDense);
}

// _forward_attention.
Tensor TransformerLayer::attend(const Tensor& input, const LayerInput& given) const {
  const Tensor input_layernorm_output = normalised(input_layernorm_, input);
  const Tensor output = self_attention_(input_layernorm_output, given);
  return bias_dropout_add(b_, output, self_attention_.bias(), input);
}

Tensor TransformerLayer::operator()(const Tensor& input, const LayerInput& given) {
  const Tensor residual = attend(input, given);
  const Tensor pre_mlp_layernorm_output = normalised(pre_mlp_layernorm_, residual);
  const Tensor output = mlp_ ? (*mlp_)(pre_mlp_layernorm_output) : (*moe_)(pre_mlp_layernorm_output);
  return bias_dropout_add(b_, output, mlp_ ? mlp_->bias() : Tensor(), residual);
}

GptModel::GptModel(const Builder& b, const Chunk& chunk) : b_(b), chunk_(chunk) {
  Tape& tape = b_.tape;
  const Gpt& model = b_.job.model;
  if (chunk.embeds) {
    const Scope scope(tape, "embedding");
    embedding_.emplace(b_);
  }
  if (model.position == Positions::kRotary)
    inverse_frequencies_ = tape.buffer({model.head_dim / 2}, DType::kFloat32, "rotary_pos_emb");
  {
    const Scope scope(tape, "decoder");
    const int32_t repeat = tape.new_repeat();
    layers_.reserve(static_cast<size_t>(chunk.layers));
    for (int64_t i = 0; i < chunk.layers; ++i) {
      tape.layer = chunk.first + i;
      tape.turn = tape.new_turn(repeat, 1);
      tape.unit = units_.emplace_back(tape.new_unit());
      const Scope layer(tape, "layers.*");
      layers_.emplace_back(b_);
    }
    tape.enter_unit(0);
    if (chunk.heads) final_layernorm_.emplace(named<Normalization>(b_, "final_layernorm", model.hidden));
  }
  if (!chunk.heads) return;
  const Scope scope(tape, "output_layer");
  if (model.tied && chunk.embeds) {
    output_layer_.emplace(b_, embedding_->weight());
  } else {
    const bool shared = model.tied && b_.job.degrees.pp > 1;
    const Trait trait = {.shared = shared};
    output_layer_.emplace(b_, b_.parameter({model.vocab / b_.tp(), model.hidden}, "weight", trait));
  }
  if (!b_.job.training.defers_head) return;
  deferred_.emplace(b_.job.training.deferral_limit);
  output_layer_->defer(*deferred_);
}

// RotaryEmbedding.forward, which lru_cache keeps: the angles of all positions, or of this rank's part of the sequence.
Tensor GptModel::rotary(const Tensor& decoder_input) {
  if (b_.job.model.position != Positions::kRotary) return {};
  Tape& tape = b_.tape;
  const Expr own = b_.sequence_ranks() * decoder_input.size(0);
  const Expr seq = b_.job.degrees.cp * own;
  const Expr dim = b_.job.model.head_dim;
  if (!angles_) {
    const NoGrad no_grad(tape);
    Tensor freqs;
    {
      Tensor positions = tape.make({seq}, DType::kFloat32, "arange");
      positions = add_scalar(positions);
      freqs = tape.make({seq, exact_div(dim, 2)}, DType::kFloat32, "mul");
    }
    angles_ = cat(freqs, freqs, 1);
    if (b_.job.degrees.cp > 1) angles_ = tape.make({own, dim}, DType::kFloat32, "index_select");
  }
  return tape.look(angles_, Shape{own, 1, 1, dim}, true);
}

void GptModel::run_layer(size_t i, Tensor& hidden_states, const LayerInput& given) {
  const Unit unit(b_.tape, units_[i]);
  const Scope layer(b_.tape, "layers.*");
  hidden_states = layers_[i](hidden_states, given);
}

// TransformerBlock.forward, and its _checkpointed_forward.
Tensor GptModel::layers(Tensor hidden_states, const LayerInput& given) {
  const Training& t = b_.job.training;
  const auto count = static_cast<int64_t>(layers_.size());
  const int64_t each = t.recompute == Recompute::kUniform ? t.recompute_layers : 1;
  for (int64_t first = 0; first < count; first += each) {
    const int64_t last = first + each < count ? first + each : count;
    const auto run = [this, first, last](const CheckpointInputs& in) {
      Tensor hidden = in[0];
      for (int64_t i = first; i < last; ++i) run_layer(static_cast<size_t>(i), hidden, {in[1], in[2]});
      return hidden;
    };
    const bool recomputes =
        t.recompute == Recompute::kUniform || (t.recompute == Recompute::kBlock && first < t.recompute_layers);
    const CheckpointInputs inputs = {hidden_states, given.mask, given.rotary, Tensor()};
    if (recomputes)
      hidden_states = checkpoint(b_.tape, run, inputs, t.distributes_saved ? b_.tp() : 1, &b_.router->leaves);
    else
      run_layer(static_cast<size_t>(first), hidden_states, given);
  }
  return hidden_states;
}

// GPTModel.forward; decoder_input lives to its end.
Tensor GptModel::operator()(const ChunkInput& given) {
  const Tensor decoder_input = chunk_.embeds ? (*embedding_)(given.tokens, given.position_ids) : given.hidden_states;
  const LayerInput of_layers = {given.mask, rotary(decoder_input)};
  Tensor hidden_states;
  {
    const Scope scope(b_.tape, "decoder");
    hidden_states = layers(decoder_input, of_layers);
    if (final_layernorm_) {
      const Scope norm(b_.tape, "final_layernorm");
      hidden_states = (*final_layernorm_)(hidden_states);
    }
  }
  if (!chunk_.heads) return hidden_states;
  const Scope scope(b_.tape, "output_layer");
  const Tensor logits = (*output_layer_)(hidden_states);
  const Tensor labels = contiguous(transpose(given.labels, 0, 1));
  Tensor loss = b_.job.kernels.fuses_loss ? fused_vocab_parallel_cross_entropy(logits, labels)
                                          : vocab_parallel_cross_entropy(logits, labels);
  return contiguous(transpose(loss, 0, 1));
}

}  // namespace peakmem::mcore
