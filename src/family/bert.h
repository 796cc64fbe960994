// The parts BERT is made of, for the families that share them (transformers 5.23, models/bert/modeling_bert.py).
#pragma once

#include "family/encoder.h"

namespace peakmem {

/// The positions and token types of BertEmbeddings where none are given.
struct PositionBuffers {
  Tensor position_ids, token_type_ids;
};
PositionBuffers position_buffers(const Builder& b);

/// The tables of BertEmbeddings; families make them in different orders.
struct EmbeddingTables {
  Embedding words, positions, types;
  LayerNorm norm;
  PositionBuffers buffers;
};

/// BertEmbeddings, with rows as wide as `width`.
struct BertEmbeddings {
  const Builder& b;
  EmbeddingTables tables;

  explicit BertEmbeddings(const Builder& builder) : BertEmbeddings(builder, builder.dims.hidden) {}
  BertEmbeddings(const Builder& builder, Expr width);
  BertEmbeddings(const Builder& builder, EmbeddingTables made) : b(builder), tables(std::move(made)) {}

  const Tensor& word_weight() const { return tables.words.weight(); }
  Tensor operator()(const Tensor& input_ids) const;

 protected:
  /// Words, token types and positions, added up and normed.
  Tensor sum(const Tensor& input_ids, const Tensor& positions, const Tensor& types) const;
};

/// BertSelfOutput and BertOutput: they differ in the width that comes in.
struct BertOutput {
  const Builder& b;
  Linear dense;
  LayerNorm layer_norm;

  BertOutput(const Builder& builder, Expr in);
  Tensor operator()(const Tensor& input, const Tensor& input_tensor) const;
};

/// BertLayer.
class BertLayer {
 public:
  explicit BertLayer(const Builder& builder);
  Tensor operator()(const Tensor& hidden_states) const;

 private:
  AttentionOutput attention(const Tensor& hidden_states) const;
  Tensor intermediate(const Tensor& input) const;

  const Builder& b_;
  FullAttention self_;
  BertOutput self_output_;
  Linear dense_;
  BertOutput output_;
};

/// BertPooler, under the name it has in a model; a bare one's own is `pooler`.
class BertPooler {
 public:
  BertPooler(const Builder& b, const char* in_model);
  Tensor operator()(const Tensor& hidden_states) const;

 private:
  const char* scope_;
  Linear dense_;
};

/// The classifier on top of it.
class PooledClassifier {
 public:
  PooledClassifier(const Builder& b, double dropout);
  Tensor operator()(const Tensor& pooler_output) const;

 private:
  Linear classifier_;
  double dropout_;
};

/// create_position_ids_from_input_ids: padding has the padding token's position, the others are counted on from it;
/// some add how many there were before.
Tensor positions_after_padding(const Tensor& input_ids, bool adds_past);

/// RobertaLMHead and MPNetLMHead.
PredictionHead gelu_prediction_head(const Builder& b, const Tensor& word_weight);

/// Sizes by default, which differ from family to family.
struct BertDefaults {
  int64_t vocab, hidden, heads, ffn;
  bool may_turn = false;  // positions
  bool has_token_types = true;
};
/// Fields that BERT's configs share with its kin's.
Description read_bert(Fields& fields, const BertDefaults& otherwise);

}  // namespace peakmem
