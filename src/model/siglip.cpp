// SigLIP's encoder of images (transformers 5.23, models/siglip/modeling_siglip.py).
#include <memory>

#include "model/clip.h"

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

/// SiglipVisionModel.
struct Tower {
  const Builder& b;
  Embeddings embeddings;
  TowerEncoder encoder;
  LayerNorm post_layernorm;

  explicit Tower(const Builder& builder)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        encoder(b, true, 1),
        post_layernorm(b, "post_layernorm", b.dims.hidden) {}

  TowerOutput operator()(const Tensor& pixel_values) const {
    const Tensor hidden_states = embeddings(pixel_values);
    const TowerOutput encoded = encoder(hidden_states);
    const Tensor last_hidden_state = post_layernorm(encoded.last_hidden_state);
    return {last_hidden_state, last_hidden_state, Tensor()};
  }
};

}  // namespace

TowerCall make_siglip_tower(const Builder& b) {
  const auto tower = std::make_shared<Tower>(b);
  return [tower](const Tensor& pixel_values) { return (*tower)(pixel_values); };
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
