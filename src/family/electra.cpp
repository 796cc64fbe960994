// ELECTRA: BERT whose embeddings may be narrower than its layers (transformers 5.23,
// models/electra/modeling_electra.py).
#include "family/bert.h"

namespace peakmem {
namespace {

/// ElectraEmbeddings, and ElectraModel's projection of them to the layers' width.
struct ProjectedEmbeddings : BertEmbeddings {
  std::optional<Linear> embeddings_project;

  explicit ProjectedEmbeddings(const Builder& builder) : BertEmbeddings(builder, builder.dims.embedding) {
    if (b.description.embedding != b.description.hidden)
      embeddings_project.emplace(b, "embeddings_project", b.dims.embedding, b.dims.hidden, true);
  }

  Tensor operator()(const Tensor& input_ids) const {
    Tensor embedding_output = BertEmbeddings::operator()(input_ids);
    if (embeddings_project) embedding_output = (*embeddings_project)(embedding_output);
    return embedding_output;
  }
};

/// ElectraClassificationHead.
struct GeluHead : ClassificationHead {
  explicit GeluHead(const Builder& b) : ClassificationHead(b, Activation::kGelu) {}
};

/// ElectraSequenceSummary of the first token, and the score of a choice.
struct SummaryHead {
  const Builder& b;
  Linear summary, classifier;

  explicit SummaryHead(const Builder& builder)
      : b(builder),
        summary(named<Linear>(b, "sequence_summary", "summary", b.dims.hidden, b.dims.hidden, true)),
        classifier(b, "classifier", b.dims.hidden, b.dims.labels, true) {}

  Tensor operator()(const Tensor& hidden_states) const {
    Tensor output = select_first(hidden_states);
    output = summary(output);
    output = gelu(output);
    output = dropout(output, b.description.summary_dropout);
    return classifier(output);
  }
};

struct ElectraParts : UsualEncoderParts {
  using Embeddings = ProjectedEmbeddings;
  using Layer = BertLayer;
  using Classifier = GeluHead;
  using Chooser = SummaryHead;
  using Pooler = void;
  static constexpr bool kPoolsClasses = false;
  static constexpr bool kPoolsChoices = false;
  static constexpr const char* kModel = "electra";

  /// ElectraGeneratorPredictions and generator_lm_head.
  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    const Expr width = b.dims.embedding;
    LayerNorm norm(b, "generator_predictions.LayerNorm", width);
    Linear dense(b, "generator_predictions.dense", b.dims.hidden, width, true);
    return {nullptr, dense, norm, decoder(b, "generator_lm_head", width, word_weight), Activation::kGelu};
  }
};

/// ElectraForPreTraining: whether a token is the original one, of which a generator has replaced some.
class Discriminator : public Model {
 public:
  explicit Discriminator(const Builder& b)
      : b_(b),
        electra_(encoder_body(b_, kEncoderParts<ElectraParts>).call),
        dense_(named<Linear>(b_, kName, "dense", b_.dims.hidden, b_.dims.hidden, true)),
        dense_prediction_(named<Linear>(b_, kName, "dense_prediction", b_.dims.hidden, Expr(1), true)) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = electra_(batch.input_ids);
    const Tensor logits = predictions(sequence_output);
    return {loss(logits, batch.labels), logits};
  }

 private:
  static constexpr const char* kName = "discriminator_predictions";

  Tensor predictions(const Tensor& sequence_output) const {
    const Scope scope(b_.tape, kName);
    Tensor hidden_states = dense_(sequence_output);
    hidden_states = activate(b_.description.activation, hidden_states);
    return merge_dims(dense_prediction_(hidden_states), 1, 2);
  }

  Tensor loss(const Tensor& logits, const Tensor& labels) const {
    const Scope scope(b_.tape, "loss");
    return binary_cross_entropy(logits, to(labels, DType::kFloat32));
  }

  Builder b_;
  ModuleCall electra_;
  Linear dense_, dense_prediction_;
};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task == Task::kPreTraining) return std::make_unique<Discriminator>(b);
  return build_encoder<ElectraParts>(b);
}

Description read(Fields& fields) {
  Description d = read_bert(fields, {30522, 256, 4, 1024});
  d.embedding = fields.size("embedding_size", 128);
  d.summary_dropout = fields.probability("summary_last_dropout", 0.1);
  d.is_plain_summary = fields.text("summary_type", "first") == "first" && fields.flag("summary_use_proj", true) &&
                       fields.text("summary_activation", "gelu") == "gelu";
  return d;
}

}  // namespace

const Family kElectra = {
    "electra", "ELECTRA", "transformers 5.23, models/electra", Task::kMaskedLm, encoder_tasks(true), read, build};

}  // namespace peakmem
