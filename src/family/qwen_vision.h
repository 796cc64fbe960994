// What the vision transformers of Qwen's models of text and images share (transformers 5.23,
// models/qwen2_vl/modeling_qwen2_vl.py and models/qwen3_vl/modeling_qwen3_vl.py): patches of any number in a row, of
// which those of an image, or of a window, see each other.
#pragma once

#include <vector>

#include "family/qwen2_vl.h"
#include "model/rotary.h"

namespace peakmem {

/// How long the stretches of patches are that see each other.
using Lengths = std::vector<int64_t>;

/// The same as a layer is told it: where they begin, on the device.
struct Stretches {
  Lengths lengths;
  Tensor cu_seqlens;
};
Stretches stretches(const Builder& b, Lengths lengths, const char* made_by);

/// The images of a batch.
int64_t images_of(const Builder& b);
/// A stretch for each image.
Lengths whole_images(const Builder& b);

/// PatchEmbed: a convolution over a patch of a few frames, [N, pixels] to [N, C].
struct FilmPatches {
  const Builder& b;
  Tensor weight, bias;  // the latter empty where there is none

  explicit FilmPatches(const Builder& builder, bool has_bias = false);
  Tensor operator()(const Tensor& pixel_values) const;
};

/// get_vision_position_ids: row and column of each patch.
Tensor places_of_patches(const Builder& b);

/// Qwen2VLVisionRotaryEmbedding: half of a head's features are turned by rows, half by columns. In fp32.
class AxialRotary {
 public:
  explicit AxialRotary(const Builder& builder) : b_(builder), frequencies_(b_, "rotary_pos_emb") {}
  Rotation operator()() const;

 private:
  Tensor recomposed(Expr patches) const;
  const Builder& b_;
  RotaryEmbedding frequencies_;
};

/// VisionAttention, of each stretch by itself.
struct VisionAttention {
  const Builder& b;
  Linear qkv, proj;

  explicit VisionAttention(const Builder& builder);
  Tensor operator()(const Tensor& hidden_states, const Rotation& rotation, const Lengths& lengths) const;
};

/// Qwen2VLVisionBlock, Qwen2_5_VLVisionBlock, Qwen3VLVisionBlock.
template <class Norm, class FeedForward>
struct VisionBlock {
  Norm norm1, norm2;
  VisionAttention attn;
  FeedForward mlp;

  explicit VisionBlock(const Builder& b)
      : norm1(b, "norm1", b.dims.hidden),
        norm2(b, "norm2", b.dims.hidden),
        attn(named<VisionAttention>(b, "attn")),
        mlp(named<FeedForward>(b, "mlp")) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Lengths& lengths) const {
    Tensor hidden_states = input;
    Tensor given = attn(norm1(hidden_states), rotation, lengths);
    hidden_states = add(hidden_states, std::move(given));  // what was normed went with the call
    given = mlp(norm2(hidden_states));
    hidden_states = add(hidden_states, std::move(given));
    return hidden_states;
  }
};

/// One of them under its name and a checkpoint.
template <class Block>
Tensor run_block(const Builder& b, const Block& block, const Tensor& hidden_states, const Rotation& shared,
                 const Stretches& seen) {
  const Scope scope(b.tape, "blocks.*");
  const Rotation rotation = layer_inputs(b, shared);
  return checkpoint(
      b.structure.checkpointing,
      [&block, rotation, seen](const Tensor& input, const Tensor&) { return block(input, rotation, seen.lengths); },
      hidden_states);
}

/// What all read of their configs besides the width, which has another name in some. `patch`: as large as they are.
void read_patches(Fields& fields, Description& description, int64_t layers, int64_t patch);

}  // namespace peakmem
