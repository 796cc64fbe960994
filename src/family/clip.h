// What encodes images in CLIP and SigLIP (transformers 5.23, models/clip/modeling_clip.py and
// models/siglip/modeling_siglip.py): the same parts, made in another order.
#pragma once

#include <optional>

#include "family/towers.h"
#include "family/vit.h"

namespace peakmem {

/// CLIPAttention, SiglipAttention.
struct TowerAttention {
  const Builder& b;
  Linear k_proj, v_proj, q_proj, out_proj;

  explicit TowerAttention(const Builder& builder);
  AttentionOutput operator()(const Tensor& hidden_states, bool causal, const Tensor& mask) const;

 private:
  Tensor heads(const Linear& projection, const Tensor& hidden_states) const;
};

/// CLIPEncoderLayer, SiglipEncoderLayer: CLIP makes attention and MLP before their norms.
struct TowerLayer {
  std::optional<LayerNorm> layer_norm1;
  TowerAttention self_attn;
  std::optional<LayerNorm> layer_norm2;
  std::optional<ImageMlp> mlp;

  TowerLayer(const Builder& b, bool norms_first);
  Tensor operator()(const Tensor& input, bool causal = false, const Tensor& mask = Tensor()) const;
};

/// CLIPEncoder, SiglipEncoder. `last`: how many layers at its end have not their like.
class TowerEncoder {
 public:
  TowerEncoder(const Builder& b, bool norms_first, int64_t last);
  /// What the last layer gives, and what it was given. `causal`: of a text.
  TowerOutput operator()(const Tensor& embeddings, bool causal = false, const Tensor& mask = Tensor()) const;

 private:
  const Builder& b_;
  Layers<TowerLayer> layers_;
};

/// What both read of their configs, of so many tokens beside the patches.
Description read_tower_encoder(Fields& fields, std::string_view activation, int64_t patch, int64_t tokens);

/// SiglipVisionModel. Beside a text's tokens it is modelled without its pooling head.
TowerCall make_siglip_tower(const Builder& b);
Description read_siglip_tower(Fields& fields);
Description read_pooling_siglip_tower(Fields& fields);

/// Sizes where a config says nothing.
struct EncoderDefaults {
  int64_t hidden = 768, ffn = 3072, heads = 12;
};
/// The fields of an encoder of either kind, images or text apart.
Description read_encoder_of_either(Fields& fields, std::string_view activation, EncoderDefaults otherwise = {});

/// CLIPVisionModel.
TowerCall make_clip_tower(const Builder& b);
Description read_clip_tower(Fields& fields);

}  // namespace peakmem
