// torchtitan's decoder on one rank (0.2.2, models/llama3/model/model.py, models/qwen3/model/model.py), with its linear
// layers, norms and embedding as parallelize_* makes them. Tensors are [batch, sequence, features].
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "torchtitan/job.h"
#include "trace/ops.h"

namespace peakmem::titan {

/// What every module needs.
struct Builder {
  Tape& tape;
  const Job& job;
  std::vector<bool>& replicated;  // by parameter: whole on every tensor-parallel rank

  Tensor parameter(const Shape& shape, const char* name, bool is_replicated = false) const;
  int64_t tp() const { return job.degrees.tp; }
};

/// nn.Linear without a bias: [out, in], of which this rank has a part where a degree divides either.
class Linear {
 public:
  Linear(const Builder& b, int64_t in, int64_t out);
  Tensor operator()(Tensor input) const { return linear(std::move(input), weight_, {}); }

 private:
  Tensor weight_;
};

/// nn.RMSNorm.
class RmsNorm {
 public:
  RmsNorm(const Builder& b, int64_t width);
  Tensor operator()(Tensor input) const;

 private:
  Tensor weight_;
};

/// Attention.
class Attention {
 public:
  explicit Attention(const Builder& b);
  Tensor operator()(const Tensor& input, const Tensor& freqs_cis) const;

 private:
  Tensor inner_attention(const Tensor& xq, const Tensor& xk, const Tensor& xv) const;

  const Builder& b_;
  int64_t heads_;  // of this rank
  int64_t kv_heads_;
  std::vector<RmsNorm> head_norms_;  // of queries and of keys, where there are any
  Linear wq_, wk_, wv_, wo_;
};

/// FeedForward: w2(silu(w1(x)) * w3(x)).
class FeedForward {
 public:
  explicit FeedForward(const Builder& b);
  Tensor operator()(const Tensor& x) const;

 private:
  const Builder& b_;
  Linear w1_, w2_, w3_;
};

/// TransformerBlock.
class TransformerBlock {
 public:
  explicit TransformerBlock(const Builder& b);
  Tensor operator()(const Tensor& x, const Tensor& freqs_cis) const;

 private:
  Attention attention_;
  FeedForward feed_forward_;
  RmsNorm attention_norm_;
  RmsNorm ffn_norm_;
};

/// Transformer.
class Transformer {
 public:
  Transformer(const Builder& b, const Chunk& chunk);
  /// to_empty's part of it that is no parameter, and init_weights, which makes that anew.
  void init_weights();
  /// Logits, or hidden states for the next stage: of tokens, or of what the stage before sent.
  Tensor operator()(const Tensor& input);

 private:
  Tensor embed(const Tensor& tokens) const;
  Tensor positions() const;
  Tensor run_layer(size_t i, const Tensor& h);

  const Builder b_;
  Chunk chunk_;
  Tensor tok_embeddings_;
  Tensor positions_;  // freqs_cis, or rope_cache
  std::vector<TransformerBlock> layers_;
  std::vector<int32_t> units_;
  std::optional<RmsNorm> norm_;
  std::optional<Linear> output_;
};

/// A module whose parameters are recorded under its name.
template <class Module, class... Choices>
Module named(const Builder& b, const char* name, Choices... choices) {
  const Scope scope(b.tape, name);
  return Module(b, choices...);
}

}  // namespace peakmem::titan
