// A rotary decoder: embedding, layers, a norm, a head (transformers 5.23, models/llama/modeling_llama.py and its many
// namesakes). What a family has otherwise than LLaMA it names in its Parts:
//
//     TokenEmbedding   (b, name, rows, width);  (input_ids) -> [B, T, C];  weight()
//     Rotary           (b);  (hidden_states, position_ids) -> Rotation, or one for each kind of layer
//     Layer            (b), or (b, windowed) where its kinds differ in what they are made of;  (hidden_states,
//     rotation, mask) -> hidden_states, perhaps with attention's weights Norm             (b, name, width);
//     (hidden_states) -> hidden_states scale_embeddings (inputs_embeds) -> inputs_embeds, static kModel, kEmbedding,
//     kLayers, kNorm    what the decoder is called, and its embedding, layers and norm scale_logits     (b, logits) ->
//     logits, static kKeepsEmbeddings whether they have a name of their own beside what dropout leaves of them
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <type_traits>

#include "family/family.h"
#include "model/masks.h"
#include "model/rotary.h"

namespace peakmem {

/// What a decoder calls: its parts are of one type, so that a family adds a row and no decoder of its own (a Decoder
/// for each was a twentieth of the WebAssembly module).
using RotaryCall = std::function<Rotations(const Tensor& hidden_states, const Tensor& position_ids)>;
using LayerCall =
    std::function<AttentionOutput(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask)>;

/// How the parts of a family are made.
struct DecoderParts {
  const char* model;
  const char* embedding;
  const char* layers;
  const char* norm;
  EmbeddingCall (*make_embedding)(const Builder& b, const char* name);
  LayerCall (*make_layer)(const Builder& b, const char* name, bool windowed);
  ModuleCall (*make_norm)(const Builder& b, const char* name);
  RotaryCall (*make_rotary)(const Builder& b);
  Tensor (*scale_embeddings)(Tensor inputs_embeds);
  Tensor (*scale_logits)(const Builder& b, Tensor logits);
  bool keeps_embeddings;
};

// By the part's own type: families that share a part share its call.
template <class TokenEmbedding>
EmbeddingCall make_embedding(const Builder& b, const char* name) {
  TokenEmbedding embedding(b, name, b.dims.vocab, b.dims.hidden);
  return {embedding.weight(), [embedding](const Tensor& input_ids) { return embedding(input_ids); }};
}
template <class Layer>
LayerCall make_layer(const Builder& b, const char* name, [[maybe_unused]] bool windowed) {
  const auto call = [](Layer made) -> LayerCall {
    return [layer = std::move(made)](const Tensor& hidden_states, const Rotation& rotation,
                                     const Tensor& mask) -> AttentionOutput {
      if constexpr (std::is_same_v<decltype(layer(hidden_states, rotation, mask)), Tensor>)
        return {layer(hidden_states, rotation, mask), Tensor()};
      else
        return layer(hidden_states, rotation, mask);
    };
  };
  if constexpr (std::is_constructible_v<Layer, const Builder&, bool>)
    return call(named<Layer>(b, name, windowed));
  else
    return call(named<Layer>(b, name));
}
template <class Norm>
ModuleCall make_norm(const Builder& b, const char* name) {
  return Norm(b, name, b.dims.hidden);
}
template <class Rotary>
RotaryCall make_rotary(const Builder& b) {
  return Rotary(b);
}
template <class Parts>
inline constexpr DecoderParts kDecoderParts = {Parts::kModel,
                                               Parts::kEmbedding,
                                               Parts::kLayers,
                                               Parts::kNorm,
                                               make_embedding<typename Parts::TokenEmbedding>,
                                               make_layer<typename Parts::Layer>,
                                               make_norm<typename Parts::Norm>,
                                               make_rotary<typename Parts::Rotary>,
                                               Parts::scale_embeddings,
                                               Parts::scale_logits,
                                               Parts::kKeepsEmbeddings};

std::unique_ptr<Model> build_decoder(const Builder& b, const DecoderParts& parts);

/// A family's `build`.
template <class Parts>
std::unique_ptr<Model> build_decoder(const Builder& b) {
  return build_decoder(b, kDecoderParts<Parts>);
}

/// Which heads transformers 5.23 has for a family besides that of a language model; each has those before it.
enum class DecoderHeads : uint8_t { kNone = 2, kSequences = 3, kTokens = 4, kAnswers = 5 };

/// The tasks such a family is modelled for.
std::span<const Task> decoder_tasks(DecoderHeads heads);

// Reading a family's config.
/// Fields all rotary decoders share: sizes, activation, dropout, rotary parameters.
Description read_decoder(Fields& fields, int64_t vocab, int64_t hidden, int64_t ffn, int64_t positions);
/// How many features of a head are turned: by partial_rotary_factor, of rope_parameters or beside them.
int64_t read_rotary(Fields& fields, int64_t head_dim, double otherwise);
/// The same where the family reads that of rope_parameters alone.
int64_t read_rotary_of_parameters(Fields& fields, int64_t head_dim, double otherwise);
/// num_key_value_heads: null is as many as heads.
int64_t read_kv_heads(Fields& fields, int64_t heads, int64_t absent);
/// Some models check it even where head_dim is given.
void check_head_quotient(Fields& fields, const Description& description);
/// Layers of two kinds, one of which is every period-th: full where the others are windowed.
void alternate(Description& description, int64_t period);
/// layer_types, or what a family makes of its period where there are none.
void read_alternation(Fields& fields, Description& description, int64_t period);
/// layer_types: full or windowed, layer by layer; layers of one kind in a row become a run.
void read_layer_types(Fields& fields, Description& description, const std::vector<std::string>& types);

}  // namespace peakmem
