// T5's attention, which learns a bias for each distance between tokens, with the norm and the sum around it
// (transformers 5.23, models/t5/modeling_t5.py).
#pragma once

#include <optional>

#include "model/modules.h"

namespace peakmem {

/// Log-sized buckets of the distances that lie past the exact ones: min(exact + log(...), buckets - 1).
/// `log_ratio`: the name of whoever keeps that while it runs.
Tensor far_buckets(Tape& tape, const KeptShape& square, Tensor* log_ratio = nullptr);

/// Whether every layer has a bias of its own (umT5), which is then nobody else's.
bool has_own_biases(const Builder& b);

/// T5LayerNorm: the variance in fp32, by hand; the input is scaled as it comes.
struct T5LayerNorm {
  const Builder& b;
  const char* name;
  Tensor weight;

  T5LayerNorm(const Builder& builder, const char* own_name);
  Tensor operator()(const Tensor& input) const;
};

/// What an attention is told besides its hidden states.
struct T5AttentionContext {
  Tensor mask;              // float, of eager attention; empty in sdpa
  Tensor position_bias;     // empty in the first layer
  Tensor key_value_states;  // the encoder's output in cross attention, else empty
};

/// An attention's output, the bias it used, and the weights that the caller's frame still names.
struct T5AttentionOutput {
  Tensor output;
  Tensor position_bias;
  Tensor weights;
};

/// T5Attention.
struct T5Attention {
  const Builder& b;
  const Dims& keys;  // of the stack that keys and values come from
  bool causal;
  Linear q, k, v, o;
  std::optional<Embedding> relative_attention_bias;  // the first layer's, for all

  T5Attention(const Builder& builder, const Dims& key_dims, bool is_causal, bool has_relative_attention_bias);
  T5AttentionOutput operator()(const Tensor& hidden_states, const T5AttentionContext& context) const;

 private:
  Linear projection(const char* name) const;
  Tensor heads(const Linear& projection, const Tensor& states) const;
  Tensor compute_bias() const;
  Tensor bucket_of_each(const KeptShape& square) const;
  Tensor no_bias(const Tensor& query) const;
  Tensor bias_mask(const Tensor& bias) const;
  T5AttentionOutput eager(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias,
                          const Tensor& mask) const;
  T5AttentionOutput sdpa(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& bias) const;
};

/// T5LayerSelfAttention and T5LayerCrossAttention.
struct T5AttentionLayer {
  const Builder& b;
  const char* name;
  T5Attention attention;
  T5LayerNorm layer_norm;

  /// Self attention in a stack where `is_first` says whether the block is; keys are those of the stack itself.
  T5AttentionLayer(const Builder& builder, bool is_causal, bool is_first);
  /// Cross attention.
  T5AttentionLayer(const Builder& builder, const Dims& encoder);
  T5AttentionOutput operator()(const Tensor& hidden_states, const T5AttentionContext& context) const;

 private:
  T5AttentionLayer(const Builder& builder, const Dims& keys, const char* own_name, const char* kind, bool is_causal,
                   bool has_bias);
};

}  // namespace peakmem
