// SigLIP's encoder of images (transformers 5.23, models/siglip/modeling_siglip.py).
#include <memory>

#include "family/clip.h"
#include "trace/gather.h"
#include "trace/mean.h"

namespace peakmem {
namespace {

/// SiglipVisionEmbeddings.
struct Embeddings {
  const Builder& b;
  PatchEmbeddings patch_embedding;
  Embedding position_embedding;
  Tensor position_ids;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        patch_embedding(b, "patch_embedding"),
        position_embedding(b, "position_embedding", b.dims.positions, b.dims.hidden),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor patch_embeds = inputs_embeds(b, patch_embedding.convolve(to(pixel_values, b.structure.weights)));
    const Tensor embeddings = PatchEmbeddings::in_a_row(patch_embeds);
    return add(embeddings, position_embedding(position_ids));
  }
};

/// torch.nn.MultiheadAttention of one query over all patches (torch.nn.functional.multi_head_attention_forward).
struct PooledAttention {
  const Builder& b;
  Tensor in_proj_weight, in_proj_bias;
  Linear out_proj;

  explicit PooledAttention(const Builder& builder)
      : b(builder),
        in_proj_weight(b.parameter({3 * b.dims.hidden, b.dims.hidden}, "in_proj_weight")),
        in_proj_bias(b.parameter({3 * b.dims.hidden}, "in_proj_bias")),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, true) {}

  /// [B, 1, C] and [B, T, C]: [B, 1, C].
  Tensor operator()(const Tensor& probe, const Tensor& hidden_state) const {
    const Scope scope(b.tape, "attention");
    const Tensor query = transpose(probe, 0, 1);
    const Tensor key = transpose(hidden_state, 0, 1);
    const auto [q_proj, kv_proj] = project(query, key);
    const Tensor q = in_heads(q_proj);
    const Tensor k = in_heads(select_row(kv_proj));
    const Tensor v = in_heads(select_row(kv_proj));
    const Tensor q_scaled = mul_scalar(q);
    Tensor weights = product(q_scaled, transpose(k, 1, 2));
    weights = softmax(std::move(weights));
    Tensor attn_output = product(weights, v);
    attn_output = contiguous(transpose(std::move(attn_output), 0, 1));
    attn_output = merge_dims(split_dim(std::move(attn_output), 1, b.dims.batch, b.dims.heads), 2, 2);
    attn_output = out_proj(merge_dims(std::move(attn_output), 0, 2));
    const Tensor of_head = split_dim(std::move(weights), 0, b.dims.batch, b.dims.heads);
    const Tensor mean = mean_dim(of_head, 1);
    return split_dim(std::move(attn_output), 0, b.dims.batch, 1);
  }

 private:
  struct Projected {
    Tensor queries, keys_and_values;
  };
  /// _in_projection_packed of an encoder and a decoder.
  Projected project(const Tensor& query, const Tensor& key) const {
    const auto [w_q, w_kv] = split_in_two(in_proj_weight, 0, b.dims.hidden);
    const auto [b_q, b_kv] = split_in_two(in_proj_bias, 0, b.dims.hidden);
    Tensor queries = linear(query, w_q, b_q);
    Tensor both = linear(key, w_kv, b_kv);
    both = unsqueeze(split_dim(std::move(both), 2, 2, b.dims.hidden), 0);
    both = merge_dims(transpose(std::move(both), 0, 3), 3, 2);
    return {std::move(queries), contiguous(std::move(both))};
  }
  /// [T, B, C] as [B·heads, T, D].
  Tensor in_heads(const Tensor& x) const {
    return transpose(merge_dims(split_dim(x, 2, b.dims.heads, b.dims.head_dim), 1, 2), 0, 1);
  }
  static Tensor product(const Tensor& left, const Tensor& right) {
    const Tensor second = to_low_precision(right);
    return bmm(to_low_precision(left), second);
  }
};

/// SiglipMultiheadAttentionPoolingHead.
struct PoolingHead {
  const Builder& b;
  Tensor probe;
  PooledAttention attention;
  LayerNorm layernorm;
  ImageMlp mlp;

  explicit PoolingHead(const Builder& builder)
      : b(builder),
        probe(b.parameter({1, 1, b.dims.hidden}, "probe")),
        attention(named<PooledAttention>(b, "attention")),
        layernorm(b, "layernorm", b.dims.hidden),
        mlp(named<ImageMlp>(b, "mlp")) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "head");
    const Tensor probes = repeat_rows(probe, b.dims.batch);
    Tensor hidden_state = attention(probes, input);
    const Tensor residual = hidden_state;
    hidden_state = layernorm(hidden_state);
    hidden_state = add(residual, mlp(hidden_state));
    return select_first(hidden_state);
  }
};

/// SiglipVisionModel.
struct Tower {
  const Builder& b;
  Embeddings embeddings;
  TowerEncoder encoder;
  LayerNorm post_layernorm;
  std::optional<PoolingHead> head;

  explicit Tower(const Builder& builder)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        encoder(b, true, 1),
        post_layernorm(b, "post_layernorm", b.dims.hidden) {
    if (b.description.pools_by_attention) head.emplace(named<PoolingHead>(b, "head"));
  }

  TowerOutput operator()(const Tensor& pixel_values) const {
    const Tensor hidden_states = embeddings(pixel_values);
    const TowerOutput encoded = encoder(hidden_states);
    const Tensor last_hidden_state = post_layernorm(encoded.last_hidden_state);
    return {last_hidden_state, last_hidden_state, head ? (*head)(last_hidden_state) : Tensor()};
  }
};

}  // namespace

TowerCall make_siglip_tower(const Builder& b) {
  const auto tower = std::make_shared<Tower>(b);
  return [tower](const Tensor& pixel_values) { return (*tower)(pixel_values); };
}

Description read_pooling_siglip_tower(Fields& fields) {
  Description d = read_tower_encoder(fields, "gelu_pytorch_tanh", 16, 0);
  d.pools_by_attention = fields.flag("vision_use_head", true);
  fields.ignore({"num_image_tokens", "projector_hidden_act"});  // of older configs
  return d;
}

Description read_siglip_tower(Fields& fields) {
  Description d = read_tower_encoder(fields, "gelu_pytorch_tanh", 16, 0);
  fields.refuse_flag("vision_use_head", false, "adds a head of attention over the patches");
  if (!fields.has("vision_use_head"))
    fields.fail("vision_use_head", "is true by default, a head of attention over the patches, which is not modelled",
                "set it to false");
  fields.ignore({"num_image_tokens", "projector_hidden_act"});  // of older configs
  return d;
}

}  // namespace peakmem
