// DistilBERT: BERT without token types, with names of its own (transformers 5.23,
// models/distilbert/modeling_distilbert.py).
#include "family/encoder.h"

namespace peakmem {
namespace {

/// Embeddings.
struct TwoEmbeddings {
  const Builder& b;
  Embedding words, positions;
  LayerNorm norm;
  Tensor position_ids;

  explicit TwoEmbeddings(const Builder& builder)
      : b(builder),
        words(named<Embedding>(b, "embeddings", "word_embeddings", b.dims.vocab, b.dims.hidden)),
        positions(named<Embedding>(b, "embeddings", "position_embeddings", b.dims.positions, b.dims.hidden)),
        norm(named<LayerNorm>(b, "embeddings", "LayerNorm", b.dims.hidden)),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  const Tensor& word_weight() const { return words.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, words(input_ids));
    const Tensor position_embeddings = positions(slice(position_ids, 1, b.dims.seq));
    Tensor embeddings = add(inputs_embeds, position_embeddings);
    embeddings = norm(embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// FFN.
struct FeedForward {
  const Builder& b;
  Linear lin1, lin2;

  explicit FeedForward(const Builder& builder)
      : b(builder),
        lin1(b, "lin1", b.dims.hidden, b.dims.ffn, true),
        lin2(b, "lin2", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "ffn");
    Tensor x = lin1(input);
    x = activate(b.description.activation, x);
    x = lin2(x);
    x = dropout(x, b.description.hidden_dropout);
    return x;
  }
};

/// TransformerBlock.
struct TransformerBlock {
  const Builder& b;
  FullAttention attention;
  LayerNorm sa_layer_norm;
  FeedForward ffn;
  LayerNorm output_layer_norm;

  explicit TransformerBlock(const Builder& builder)
      : b(builder),
        attention(named<FullAttention>(b, "attention", FullAttention::Names{"q_lin", "k_lin", "v_lin", "out_lin"},
                                       SoftmaxDtype::kAsItComes)),
        sa_layer_norm(b, "sa_layer_norm", b.dims.hidden),
        ffn(named<FeedForward>(b, "ffn")),
        output_layer_norm(b, "output_layer_norm", b.dims.hidden) {}

  AttentionOutput attend(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "attention");
    return attention(hidden_states);
  }

  Tensor operator()(const Tensor& hidden_states) const {
    AttentionOutput attended = attend(hidden_states);
    attended.output = sa_layer_norm(add(attended.output, hidden_states));
    Tensor ffn_output = ffn(attended.output);
    ffn_output = output_layer_norm(add(ffn_output, attended.output));
    return ffn_output;
  }
};

/// What DistilBertForSequenceClassification has on top.
struct TwoLayerClassifier {
  const Builder& b;
  Linear pre_classifier, classifier;

  explicit TwoLayerClassifier(const Builder& builder)
      : b(builder),
        pre_classifier(b, "pre_classifier", b.dims.hidden, b.dims.hidden, true),
        classifier(b, "classifier", b.dims.hidden, b.dims.labels, true) {}

  Tensor operator()(const Tensor& hidden_states) const {
    Tensor pooled_output = select_first(hidden_states);
    pooled_output = pre_classifier(pooled_output);
    pooled_output = relu(pooled_output);
    pooled_output = dropout(pooled_output, b.description.classifier_dropout);
    return classifier(pooled_output);
  }
};

struct DistilBertParts : UsualEncoderParts {
  using Embeddings = TwoEmbeddings;
  using Layer = TransformerBlock;
  using Classifier = TwoLayerClassifier;
  using Chooser = TwoLayerClassifier;
  using Pooler = void;
  static constexpr bool kPoolsClasses = false;
  static constexpr bool kPoolsChoices = false;
  static constexpr const char* kModel = "distilbert";
  static constexpr const char* kLayers = "transformer.layer.*";

  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    Linear dense(b, "vocab_transform", b.dims.hidden, b.dims.hidden, true);
    LayerNorm norm(b, "vocab_layer_norm", b.dims.hidden);
    return {nullptr, dense, norm, decoder(b, "vocab_projector", b.dims.hidden, word_weight), b.description.activation};
  }
};

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 30522);
  d.hidden = fields.size("dim", 768, "hidden_size");
  d.layers = fields.size("n_layers", 6, "num_hidden_layers");
  d.heads = fields.size("n_heads", 12, "num_attention_heads");
  d.ffn = fields.size("hidden_dim", 3072);
  d.positions = fields.size("max_position_embeddings", 512);
  d.activation = read_activation(fields, "activation", "gelu");
  d.hidden_dropout = fields.probability("dropout", 0.1);
  d.attention_dropout = fields.probability("attention_dropout", 0.1);
  d.classifier_dropout = fields.probability("seq_classif_dropout", 0.2);
  d.answer_dropout = fields.probability("qa_dropout", 0.1);
  d.token_dropout = d.hidden_dropout;
  fields.ignore({"sinusoidal_pos_embds", "output_past", "tie_weights_"});
  finish_encoder(fields, d);
  return d;
}

constexpr SizeNames kSizes = {"n_layers", "n_heads", "dim", "hidden_dim"};

}  // namespace

const Family kDistilBert = {"distilbert",    "DistilBERT", "transformers 5.23, models/distilbert", Task::kMaskedLm,
                            encoder_tasks(), read,         build_encoder<DistilBertParts>,         &kSizes};

}  // namespace peakmem
