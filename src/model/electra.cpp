// ELECTRA: BERT whose embeddings may be narrower than its layers (transformers 5.23,
// models/electra/modeling_electra.py).
#include "model/bert.h"

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

struct ElectraParts {
  using Embeddings = ProjectedEmbeddings;
  using Layer = BertLayer;
  using Classifier = GeluHead;
  static constexpr const char* kModel = "electra";
  static constexpr const char* kLayers = "encoder.layer.*";
  static constexpr bool kHeadFirst = false;

  /// ElectraGeneratorPredictions and generator_lm_head.
  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    const Expr width = b.dims.embedding;
    LayerNorm norm(b, "generator_predictions.LayerNorm", width);
    Linear dense(b, "generator_predictions.dense", b.dims.hidden, width, true);
    return {nullptr, dense, norm, decoder(b, "generator_lm_head", width, word_weight), Activation::kGelu};
  }
};

Description read(Fields& fields) {
  Description d = read_bert(fields, {30522, 256, 4, 1024});
  d.embedding = fields.size("embedding_size", 128);
  fields.ignore({"summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"});  // of other heads
  return d;
}

}  // namespace

const Family kElectra = {"electra",       "ELECTRA", "transformers 5.23, models/electra", Task::kMaskedLm,
                         encoder_tasks(), read,      build_encoder<ElectraParts>};

}  // namespace peakmem
