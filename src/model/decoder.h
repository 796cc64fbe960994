// A rotary decoder: embedding, layers, a norm, a head (transformers 5.23, models/llama/modeling_llama.py and its many
// namesakes). What a family has otherwise than LLaMA it names in its Parts:
//
//     TokenEmbedding   (b, name, rows, width);  (input_ids) -> [B, T, C];  weight()
//     Rotary           (b);  (hidden_states, position_ids) -> Rotation, or one for each kind of layer
//     Layer            (b);  (hidden_states, rotation, mask) -> hidden_states
//     Norm             (b, name, width);  (hidden_states) -> hidden_states
//     scale_embeddings (inputs_embeds) -> inputs_embeds, static
//     kModel, kEmbedding, kNorm    what the decoder is called, and its embedding and norm
//     scale_logits     (b, logits) -> logits, static
#pragma once

#include <array>
#include <memory>

#include "model/family.h"
#include "model/masks.h"
#include "model/rotary.h"

namespace peakmem {

/// LlamaModel of those parts.
template <class Parts>
class Decoder {
 public:
  explicit Decoder(const Builder& builder)
      : b_(builder),
        embed_tokens_(b_, Parts::kEmbedding, b_.dims.vocab, b_.dims.hidden),
        layers_(b_, b_.description.runs, b_.dims.runs,
                [this](bool windowed) { return KindOfLayer{named<Layer>(b_, "layers.*"), windowed}; }),
        norm_(b_, Parts::kNorm, b_.dims.hidden),
        rotary_emb_(b_) {}

  const Tensor& embedding_weight() const { return embed_tokens_.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, Parts::kModel);
    const Tensor inputs_embeds = Parts::scale_embeddings(peakmem::inputs_embeds(b_, embed_tokens_(input_ids)));
    const Tensor positions = position_ids(b_);
    const DecoderMasks masks = decoder_masks(b_, inputs_embeds.dtype());
    Tensor hidden_states = dropout(inputs_embeds, b_.description.embedding_dropout);
    const auto rotation = rotary_emb_(hidden_states, positions);
    layers_.run([&](const KindOfLayer& kind) {
      hidden_states =
          run(kind.layer, hidden_states, rotation.of(kind.windowed), kind.windowed ? masks.windowed : masks.full);
    });
    hidden_states = norm_(hidden_states);
    return hidden_states;
  }

 private:
  using Layer = typename Parts::Layer;
  struct KindOfLayer {
    Layer layer;
    bool windowed;
  };

  Tensor run(const Layer& layer, const Tensor& hidden_states, const Rotation& shared, const Tensor& mask) const {
    const Scope scope(b_.tape, "layers.*");
    const Rotation rotation = layer_inputs(b_, shared);
    return checkpoint(
        b_.structure.checkpointing,
        [&layer, rotation, mask](const Tensor& input, const Tensor&) { return layer(input, rotation, mask); },
        hidden_states);
  }

  const Builder& b_;
  typename Parts::TokenEmbedding embed_tokens_;
  Layers<KindOfLayer> layers_;
  typename Parts::Norm norm_;
  typename Parts::Rotary rotary_emb_;
};

/// LlamaForCausalLM.
template <class Parts>
class CausalLm : public Model {
 public:
  explicit CausalLm(const Builder& b)
      : b_(b), model_(named<Decoder<Parts>>(b_, Parts::kModel)), lm_head_(head(b_, model_)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    if (makes_no_logits(b_.structure.kernels.loss))
      return {fused_lm_loss(b_, hidden_states, lm_head_.weight(), batch.labels), Tensor()};
    Tensor logits = Parts::scale_logits(b_, lm_head_(hidden_states));
    if (b_.structure.transformers == Transformers::kV445) logits = to(std::move(logits), DType::kFloat32);
    return {causal_lm_loss(b_, logits, batch), logits};
  }

 private:
  static Linear head(const Builder& b, const Decoder<Parts>& model) {
    return b.description.tied ? Linear("lm_head", model.embedding_weight(), Tensor())
                              : Linear(b, "lm_head", b.dims.hidden, b.dims.vocab, false);
  }

  Builder b_;
  Decoder<Parts> model_;
  Linear lm_head_;
};

/// LlamaForSequenceClassification.
template <class Parts>
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b),
        model_(named<Decoder<Parts>>(b_, Parts::kModel)),
        score_(b_, "score", b.dims.hidden, b.dims.labels, false) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor hidden_states = model_(batch.input_ids);
    const Tensor logits = score_(hidden_states);
    return {last_token_loss(b_, logits, batch.input_ids, batch.labels), logits};
  }

 private:
  Builder b_;
  Decoder<Parts> model_;
  Linear score_;
};

/// A family's `build`.
template <class Parts>
std::unique_ptr<Model> build_decoder(const Builder& b) {
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<Classifier<Parts>>(b);
  return std::make_unique<CausalLm<Parts>>(b);
}

/// The tasks such a family is modelled for.
std::span<const Task> decoder_tasks();

// Reading a family's config.
/// Fields all rotary decoders share: sizes, activation, dropout, rotary parameters.
Description read_decoder(Fields& fields, int64_t vocab, int64_t hidden, int64_t ffn, int64_t positions);
/// How many features of a head are turned: by partial_rotary_factor, of rope_parameters or beside them.
int64_t read_rotary(Fields& fields, int64_t head_dim, double otherwise);
/// num_key_value_heads: null is as many as heads.
int64_t read_kv_heads(Fields& fields, int64_t heads, int64_t absent);
/// Some models check it even where head_dim is given.
void check_head_quotient(Fields& fields, const Description& description);
/// layer_types: full or windowed, layer by layer; layers of one kind in a row become a run.
void read_layer_types(Fields& fields, Description& description, const std::vector<std::string>& types);

}  // namespace peakmem
