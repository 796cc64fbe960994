// The parts ViT is made of, for the families that share them (transformers 5.23, models/vit/modeling_vit.py).
#pragma once

#include "family/family.h"

namespace peakmem {

/// ViTPatchEmbeddings: a convolution whose stride is its kernel.
struct PatchEmbeddings {
  const Builder& b;
  Tensor weight;
  Tensor bias;

  explicit PatchEmbeddings(const Builder& builder, const char* name = "projection", bool has_bias = true);
  Tensor operator()(const Tensor& pixel_values) const;
  /// The convolution alone: [B, C, rows, columns].
  Tensor convolve(const Tensor& pixel_values) const;
  /// Its patches as a sequence: [B, T, C].
  static Tensor in_a_row(const Tensor& patches) { return transpose(merge_dims(patches, 2, 2), 1, 2); }
};

/// ViTAttention; families differ in the dtype of eager attention's softmax.
struct ImageAttention {
  const Builder& b;
  SoftmaxDtype softmax;
  Linear q_proj, k_proj, v_proj, o_proj;

  ImageAttention(const Builder& builder, SoftmaxDtype softmax_dtype);
  AttentionOutput operator()(const Tensor& hidden_states) const;

 private:
  Tensor heads(const Linear& projection, const Tensor& hidden_states) const;
};

/// ViTMLP.
struct ImageMlp {
  const Builder& b;
  Linear fc1, fc2;

  explicit ImageMlp(const Builder& builder);
  Tensor operator()(const Tensor& input) const;
};

/// BeitDropPath and its namesakes: which of the batch's images goes on is drawn, and as much memory is used either way.
Tensor drop_path(const Tensor& hidden_states);

/// ForSequenceClassificationLoss is told how many labels a trainer counted, and divides by it where they are classes.
Tensor image_loss(const Builder& b, const Tensor& logits, const Batch& batch);

/// Fields that their configs share, the widths of MLP and image apart.
Description read_image_encoder(Fields& fields);
/// Image and patches, which are as large as `patch` by default; `tokens`: how many positions there are besides.
void read_image(Fields& fields, Description& description, int64_t patch, int64_t tokens);

}  // namespace peakmem
