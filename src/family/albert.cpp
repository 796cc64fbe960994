// ALBERT: BERT whose layers are all one, with embeddings of their own width (transformers 5.23,
// models/albert/modeling_albert.py).
#include "family/bert.h"

namespace peakmem {
namespace {

/// AlbertTransformer's projection of the embeddings to the layers' width.
struct EmbeddingMapping {
  const Builder& b;
  Linear embedding_hidden_mapping_in;

  explicit EmbeddingMapping(const Builder& builder)
      : b(builder),
        embedding_hidden_mapping_in(
            named<Linear>(b, "encoder", "embedding_hidden_mapping_in", b.dims.embedding, b.dims.hidden, true)) {}

  EncoderContext before(Tensor& hidden_states) const {
    const Scope scope(b.tape, "encoder");
    hidden_states = embedding_hidden_mapping_in(hidden_states);
    return {};
  }
  Tensor after(const Tensor& hidden_states) const { return hidden_states; }
};

/// AlbertEmbeddings.
struct AlbertEmbeddings : BertEmbeddings {
  explicit AlbertEmbeddings(const Builder& builder) : BertEmbeddings(builder, builder.dims.embedding) {}
};

/// AlbertLayer.
struct AlbertLayer {
  const Builder& b;
  LayerNorm full_layer_layer_norm;
  FullAttention attention;
  LayerNorm layer_norm;
  Linear ffn, ffn_output;

  explicit AlbertLayer(const Builder& builder)
      : b(builder),
        full_layer_layer_norm(b, "full_layer_layer_norm", b.dims.hidden),
        attention(named<FullAttention>(b, "attention", FullAttention::Names{"query", "key", "value", "dense"},
                                       SoftmaxDtype::kAsItComes)),
        layer_norm(named<LayerNorm>(b, "attention", "LayerNorm", b.dims.hidden)),
        ffn(b, "ffn", b.dims.hidden, b.dims.ffn, true),
        ffn_output(b, "ffn_output", b.dims.ffn, b.dims.hidden, true) {}

  /// AlbertAttention.
  AttentionOutput attend(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "attention");
    AttentionOutput attended = attention(hidden_states);
    attended.output = dropout(attended.output, b.description.hidden_dropout);
    attended.output = layer_norm(add(hidden_states, attended.output));
    return attended;
  }

  Tensor ff_chunk(const Tensor& attention_output) const {
    Tensor output = ffn(attention_output);
    output = activate(b.description.activation, output);
    output = ffn_output(output);
    return output;
  }

  Tensor operator()(const Tensor& hidden_states) const {
    const AttentionOutput attended = attend(hidden_states);
    const Tensor output = ff_chunk(attended.output);
    return full_layer_layer_norm(add(output, attended.output));
  }
};

/// AlbertForSequenceClassification's and AlbertForMultipleChoice's head.
struct AlbertClassifier : PooledClassifier {
  explicit AlbertClassifier(const Builder& b) : PooledClassifier(b, b.description.classifier_dropout) {}
};

/// AlbertModel's pooler, which is a layer of the model itself.
struct AlbertPooler {
  const Builder& b;
  const char* name;
  Linear pooler;

  explicit AlbertPooler(const Builder& builder)
      : b(builder),
        name(b.description.task == Task::kFeatureExtraction ? "pooler" : "albert.pooler"),
        pooler(b, name, b.dims.hidden, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& hidden_states) const { return tanh(pooler(select_first(hidden_states))); }
};

struct AlbertParts : UsualEncoderParts {
  using Embeddings = AlbertEmbeddings;
  using Around = EmbeddingMapping;
  using Layer = AlbertLayer;
  using Classifier = AlbertClassifier;
  using Chooser = AlbertClassifier;
  using Pooler = AlbertPooler;
  static constexpr bool kPoolsClasses = true;
  static constexpr bool kPoolsChoices = true;
  static constexpr bool kAroundFirst = true;
  static constexpr bool kOneLayer = true;
  static constexpr int64_t kUnlikeAtTheEnd = 2;
  static constexpr const char* kModel = "albert";
  static constexpr const char* kLayers = "encoder.albert_layer_groups.0.albert_layers.0";

  /// AlbertMLMHead.
  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    constexpr const char* kName = "predictions";
    const Scope scope(b.tape, kName);
    const Expr width = b.dims.embedding;
    const Tensor bias = b.parameter({b.dims.vocab}, "bias");  // the decoder's where tied, else there but never used
    LayerNorm norm(b, "LayerNorm", width);
    Linear dense(b, "dense", b.dims.hidden, width, true);
    return {kName, dense, norm, decoder_of_head(b, width, word_weight, bias), b.description.activation};
  }
};

/// Whether a count is the one that is modelled.
void require_one(Fields& fields, const char* name) {
  if (fields.size(name, 1) != 1) fields.fail(name, "of more than 1 is not modelled: all layers are one", "set it to 1");
}

Description read(Fields& fields) {
  Description d = read_bert(fields, {30000, 4096, 64, 16384});
  d.embedding = fields.size("embedding_size", 128);
  d.activation = read_activation(fields, "hidden_act", "gelu_new");
  d.hidden_dropout = fields.probability("hidden_dropout_prob", 0.0);
  d.attention_dropout = fields.probability("attention_probs_dropout_prob", 0.0);
  d.classifier_dropout = fields.probability("classifier_dropout_prob", 0.1);
  d.token_dropout = fields.has("classifier_dropout_prob") || fields.find("classifier_dropout_prob") == nullptr
                        ? d.classifier_dropout
                        : d.hidden_dropout;
  d.tied_head_bias = "predictions.bias";
  require_one(fields, "num_hidden_groups");
  require_one(fields, "inner_group_num");
  d.checkpoints = false;
  fields.ignore({"down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"});
  return d;
}

}  // namespace

const Family kAlbert = {"albert",        "ALBERT", "transformers 5.23, models/albert", Task::kMaskedLm,
                        encoder_tasks(), read,     build_encoder<AlbertParts>};

}  // namespace peakmem
