// Megatron-Core's GPT on one rank (0.16.1, models/gpt/gpt_model.py, transformer/transformer_block.py): the layers of a
// chunk, the embedding before the first and the head behind the last.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "megatron/attention.h"
#include "megatron/moe.h"

namespace peakmem::mcore {

/// What a chunk is given: tokens where it embeds, labels where it has the head, else what the stage before it sent.
struct ChunkInput {
  Tensor tokens, position_ids, labels;  // [b, s]
  Tensor mask;                          // [b, 1, s, s]
  Tensor hidden_states;
};

/// VocabParallelEmbedding: this rank has a part of the vocabulary's rows.
class VocabParallelEmbedding {
 public:
  VocabParallelEmbedding(const Builder& b, bool scatters);
  Tensor operator()(const Tensor& tokens) const;
  const Tensor& weight() const { return weight_; }

 private:
  const Builder& b_;
  Tensor weight_;
  bool scatters_;
};

/// LanguageModelEmbedding.
class Embedding {
 public:
  explicit Embedding(const Builder& b);
  Tensor operator()(const Tensor& tokens, const Tensor& position_ids) const;
  const Tensor& weight() const { return word_embeddings_.weight(); }

 private:
  const Builder& b_;
  VocabParallelEmbedding word_embeddings_;
  Tensor position_embeddings_;
};

/// TransformerLayer, dense or a mixture.
class TransformerLayer {
 public:
  explicit TransformerLayer(const Builder& b);
  Tensor operator()(const Tensor& input, const LayerInput& given);

 private:
  Tensor attend(const Tensor& input, const LayerInput& given) const;

  const Builder& b_;
  std::optional<Normalization> input_layernorm_;  // TransformerEngine has those before a product in it
  SelfAttention self_attention_;
  std::optional<Normalization> pre_mlp_layernorm_;
  std::optional<Mlp> mlp_;
  std::optional<MoeLayer> moe_;
};

/// GPTModel.
class GptModel {
 public:
  GptModel(const Builder& b, const Chunk& chunk);
  /// The loss of each token [b, s], or what goes to the next stage [s, b, h].
  Tensor operator()(const ChunkInput& given);
  /// finish_embedding_wgrad_compute (pipeline_parallel/schedules.py).
  void finish_deferred() {
    if (deferred_) deferred_->finish();
  }

 private:
  Tensor layers(Tensor hidden_states, const LayerInput& given);
  Tensor rotary(const Tensor& decoder_input);
  void run_layer(size_t i, Tensor& hidden_states, const LayerInput& given);

  const Builder b_;
  Chunk chunk_;
  std::optional<Embedding> embedding_;
  Tensor inverse_frequencies_;
  Tensor angles_;  // of all positions, kept from the first call on
  std::vector<TransformerLayer> layers_;
  std::vector<int32_t> units_;
  std::optional<Normalization> final_layernorm_;
  std::optional<ColumnParallelLinear> output_layer_;
  std::optional<DeferredProducts> deferred_;
};

}  // namespace peakmem::mcore
