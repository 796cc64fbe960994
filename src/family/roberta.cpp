// RoBERTa and XLM-RoBERTa: BERT with positions counted from the padding token on and heads of its own, which
// XLM-RoBERTa makes before the encoder
// (transformers 5.23, models/roberta/modeling_roberta.py and models/xlm_roberta/modeling_xlm_roberta.py).
#include "family/bert.h"

namespace peakmem {
namespace {

/// RobertaEmbeddings.
struct RobertaEmbeddings : BertEmbeddings {
  explicit RobertaEmbeddings(const Builder& builder, const Tensor& word_weight = {})
      : BertEmbeddings(builder, make_tables(builder, word_weight)) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor position_ids = positions_after_padding(input_ids, true);
    const Tensor token_type_ids = b.tape.make(input_ids.shape(), DType::kInt64, "gather");
    return sum(input_ids, position_ids, token_type_ids);
  }

 private:
  static EmbeddingTables make_tables(const Builder& b, const Tensor& word_weight) {
    const Scope scope(b.tape, "embeddings");
    const Dims& d = b.dims;
    constexpr const char* kWords = "word_embeddings";
    Embedding words = word_weight ? Embedding(kWords, word_weight) : Embedding(b, kWords, d.vocab, d.hidden);
    Embedding types(b, "token_type_embeddings", d.token_types, d.hidden);
    LayerNorm norm(b, "LayerNorm", d.hidden);
    Embedding positions(b, "position_embeddings", d.positions, d.hidden);
    return {std::move(words), std::move(positions), std::move(types), std::move(norm), position_buffers(b)};
  }
};

/// RobertaClassificationHead.
struct TanhHead : ClassificationHead {
  explicit TanhHead(const Builder& b) : ClassificationHead(b, Activation::kTanh) {}
};

/// RobertaForMultipleChoice's.
struct RobertaChooser : PooledClassifier {
  explicit RobertaChooser(const Builder& b) : PooledClassifier(b, b.description.hidden_dropout) {}
};

struct RobertaPooler : BertPooler {
  explicit RobertaPooler(const Builder& b) : BertPooler(b, "roberta.pooler") {}
};

struct RobertaParts : UsualEncoderParts {
  using Embeddings = RobertaEmbeddings;
  using Layer = BertLayer;
  using Classifier = TanhHead;
  using Chooser = RobertaChooser;
  using Pooler = RobertaPooler;
  static constexpr bool kPoolsClasses = false;
  static constexpr bool kPoolsChoices = true;
  static constexpr const char* kModel = "roberta";

  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    return gelu_prediction_head(b, word_weight);
  }
};

struct XlmRobertaParts : RobertaParts {
  static constexpr bool kHeadFirst = true;
};

/// A sequence is shorter than the table by the positions up to the padding token's.
Description read(Fields& fields) {
  Description d = read_bert(fields, {50265, 768, 12, 3072});
  const Value* padding = fields.find("pad_token_id");
  const int64_t before = padding == nullptr ? 1 : padding->integer;
  if (padding != nullptr && (padding->kind != Value::Kind::kInteger || before < 0 || before + 1 >= d.positions))
    fields.fail("pad_token_id", "must be a position of the table: those of a sequence are counted on from it");
  d.tied_head_bias = "lm_head.bias";
  d.reserved_positions = before + 1;
  return d;
}

Description read_xlm(Fields& fields) {
  fields.ignore({"output_past"});
  return read(fields);
}

}  // namespace

const Family kRoberta = {"roberta",       "RoBERTa", "transformers 5.23, models/roberta", Task::kMaskedLm,
                         encoder_tasks(), read,      build_encoder<RobertaParts>};
const Family kXlmRoberta = {"xlm-roberta",   "XLM-RoBERTa", "transformers 5.23, models/xlm_roberta", Task::kMaskedLm,
                            encoder_tasks(), read_xlm,      build_encoder<XlmRobertaParts>};

}  // namespace peakmem
