// The layers of BART and its kin, Whisper among them: encoder-decoders that differ in where their norms are
// (transformers 5.23, models/bart, mbart, pegasus, marian, blenderbot and whisper, modeling_*.py).
#pragma once

#include <optional>

#include "model/fields.h"
#include "model/modules.h"

namespace peakmem {

/// What one of them has otherwise than the others in its layers.
struct BartLayerStyle {
  bool norms_first = false;     // before attention and MLP
  bool key_bias = true;         // of the projection to keys
  bool scales_queries = false;  // before attention, which is handed queries, keys and values without gaps
  bool clamps_half = false;     // an encoder's layer ends with a clamp where hidden states are fp16
  bool asks_half = false;       // it would, if they were not all finite, and asks for that first
};

/// BartAttention, WhisperAttention.
struct BartAttention {
  const Builder& b;
  BartLayerStyle style;
  bool causal;
  Linear k_proj, v_proj, q_proj, out_proj;

  BartAttention(const Builder& builder, BartLayerStyle layer_style, bool is_causal);
  /// Keys and values are those of `key_value_states`, which are the hidden states themselves but in cross attention.
  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& key_value_states, const Tensor& mask) const;

 private:
  Tensor heads(Tensor projected) const;
};

/// Attention with its norm and the sum around it.
struct BartAttentionPart {
  const Builder& b;
  const char* name;
  BartLayerStyle style;
  BartAttention attention;
  LayerNorm norm;

  BartAttentionPart(const Builder& builder, BartLayerStyle layer_style, const char* own_name, const char* norm_name,
                    bool causal);
  /// `weights` is the caller's name for what eager attention gives besides.
  Tensor operator()(const Tensor& input, const Tensor& encoder_hidden_states, const Tensor& mask,
                    Tensor& weights) const;
};

/// BartEncoderLayer, or BartDecoderLayer where `is_decoder`.
struct BartLayer {
  const Builder& b;
  BartLayerStyle style;
  BartAttentionPart self_attention;
  std::optional<BartAttentionPart> cross_attention;
  Linear fc1, fc2;
  LayerNorm final_layer_norm;

  BartLayer(const Builder& builder, BartLayerStyle layer_style, bool is_decoder);
  Tensor operator()(const Tensor& input, const Tensor& mask, const Tensor& encoder_hidden_states) const;

 private:
  Tensor feed_forward(Tensor hidden_states) const;
};

/// Layers that are skipped by chance (`encoder_layerdrop`, `decoder_layerdrop`) are not modelled.
void refuse_layerdrop(Fields& fields);

}  // namespace peakmem
