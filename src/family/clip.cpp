// CLIP's encoder of images, and the parts that SigLIP shares (transformers 5.23, models/clip/modeling_clip.py and
// models/siglip/modeling_siglip.py).
#include "family/clip.h"

#include <memory>

namespace peakmem {

TowerAttention::TowerAttention(const Builder& builder)
    : b(builder),
      k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, true),
      v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, true),
      q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, true),
      out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, true) {}

Tensor TowerAttention::heads(const Linear& projection, const Tensor& hidden_states) const {
  return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
}

AttentionOutput TowerAttention::operator()(const Tensor& hidden_states, bool causal, const Tensor& mask) const {
  const Scope scope(b.tape, "self_attn");
  const Tensor queries = heads(q_proj, hidden_states);
  const Tensor keys = heads(k_proj, hidden_states);
  const Tensor values = heads(v_proj, hidden_states);
  AttentionOutput attention = attend(queries, keys, values, {b, 1, mask, causal, SoftmaxDtype::kFullPrecision});
  attention.output = from_heads(attention.output);
  attention.output = out_proj(attention.output);
  return attention;
}

namespace {

std::optional<LayerNorm> norm_now(bool now, const Builder& b, const char* name) {
  return now ? std::optional<LayerNorm>(std::in_place, b, name, b.dims.hidden) : std::nullopt;
}

}  // namespace

TowerLayer::TowerLayer(const Builder& b, bool norms_first)
    : layer_norm1(norm_now(norms_first, b, "layer_norm1")), self_attn(named<TowerAttention>(b, "self_attn")) {
  const auto make_mlp = [&] { mlp.emplace(named<ImageMlp>(b, "mlp")); };
  if (!norms_first) {
    layer_norm1 = norm_now(true, b, "layer_norm1");
    make_mlp();
  }
  layer_norm2 = norm_now(true, b, "layer_norm2");
  if (norms_first) make_mlp();
}

Tensor TowerLayer::operator()(const Tensor& input, bool causal, const Tensor& mask) const {
  Tensor residual = input;
  Tensor hidden_states = (*layer_norm1)(input);
  AttentionOutput attended = self_attn(hidden_states, causal, mask);
  hidden_states = std::move(attended.output);
  hidden_states = add(residual, hidden_states);
  residual = hidden_states;
  hidden_states = (*layer_norm2)(hidden_states);
  hidden_states = (*mlp)(hidden_states);
  hidden_states = add(residual, hidden_states);
  return hidden_states;
}

namespace {

constexpr const char* kLayers = "encoder.layers.*";

}  // namespace

TowerEncoder::TowerEncoder(const Builder& b, bool norms_first, int64_t last)
    : b_(b),
      layers_(
          b, b.description.runs, b.dims.runs, [&](bool) { return named<TowerLayer>(b, kLayers, norms_first); }, last) {}

TowerOutput TowerEncoder::operator()(const Tensor& embeddings, bool causal, const Tensor& mask) const {
  Tensor hidden_states = embeddings;
  Tensor given = embeddings;
  layers_.run([&](const TowerLayer& layer) {
    const Scope named_layer(b_.tape, kLayers);
    given = b_.description.takes_last_but_one ? hidden_states : Tensor();
    hidden_states = checkpoint(
        b_.structure.checkpointing,
        [&layer, causal](const Tensor& input, const Tensor& layer_mask) { return layer(input, causal, layer_mask); },
        hidden_states, mask);
  });
  return {given, hidden_states, Tensor()};
}

Description read_encoder_of_either(Fields& fields, std::string_view activation, EncoderDefaults otherwise) {
  Description d;
  d.hidden = fields.size("hidden_size", otherwise.hidden);
  d.ffn = fields.size("intermediate_size", otherwise.ffn);
  d.layers = fields.size("num_hidden_layers", 12);
  d.heads = d.kv_heads = fields.size("num_attention_heads", otherwise.heads);
  d.activation = read_activation(fields, "hidden_act", activation);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  fields.ignore({"projection_dim", "initializer_factor", "dropout"});  // of what is beside the encoder, or not read
  return d;
}

Description read_tower_encoder(Fields& fields, std::string_view activation, int64_t patch, int64_t tokens) {
  Description d = read_encoder_of_either(fields, activation);
  read_image(fields, d, patch, tokens);
  return d;
}

namespace {

/// CLIPVisionEmbeddings.
struct Embeddings {
  const Builder& b;
  Tensor class_embedding;
  PatchEmbeddings patch_embedding;
  Embedding position_embedding;
  Tensor position_ids;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        class_embedding(b.parameter({b.dims.hidden}, "class_embedding")),
        patch_embedding(b, "patch_embedding", false),
        position_embedding(b, "position_embedding", b.dims.positions, b.dims.hidden),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  Tensor operator()(const Tensor& pixel_values) const {
    const Scope scope(b.tape, "embeddings");
    Tensor patch_embeds = inputs_embeds(b, patch_embedding.convolve(to(pixel_values, b.structure.weights)));
    patch_embeds = PatchEmbeddings::in_a_row(patch_embeds);
    const Tensor class_embeds = expand(class_embedding, {b.dims.batch, 1, b.dims.hidden});
    const Tensor embeddings = cat(class_embeds, patch_embeds, 1);
    return add(embeddings, position_embedding(position_ids));
  }
};

/// CLIPVisionModel.
struct Tower {
  const Builder& b;
  Embeddings embeddings;
  LayerNorm pre_layrnorm;
  TowerEncoder encoder;
  LayerNorm post_layernorm;

  explicit Tower(const Builder& builder)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        pre_layrnorm(b, "pre_layrnorm", b.dims.hidden),
        encoder(b, false, 2),
        post_layernorm(b, "post_layernorm", b.dims.hidden) {}

  TowerOutput operator()(const Tensor& pixel_values) const {
    Tensor hidden_states = embeddings(pixel_values);
    hidden_states = pre_layrnorm(hidden_states);
    TowerOutput output = encoder(hidden_states);
    if (!output.selected) output.selected = output.last_hidden_state;
    output.pooled = post_layernorm(select_first(output.last_hidden_state));
    return output;
  }
};

}  // namespace

TowerCall make_clip_tower(const Builder& b) {
  const auto tower = std::make_shared<Tower>(b);
  return [tower](const Tensor& pixel_values) { return (*tower)(pixel_values); };
}

Description read_clip_tower(Fields& fields) {
  fields.ignore({"vocab_size"});  // of older configs
  return read_tower_encoder(fields, "quick_gelu", 32, 1);
}

}  // namespace peakmem
