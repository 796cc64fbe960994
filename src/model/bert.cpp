// BERT (transformers 5.23, models/bert/modeling_bert.py).
#include <array>
#include <optional>

#include "model/family.h"
#include "model/masks.h"

namespace peakmem {
namespace {

/// BertEmbeddings.
struct Embeddings {
  const Builder& b;
  Embedding word_embeddings, position_embeddings, token_type_embeddings;
  LayerNorm layer_norm;
  Tensor position_ids;
  Tensor token_type_ids;

  explicit Embeddings(const Builder& builder)
      : b(builder),
        word_embeddings(b, "word_embeddings", b.dims.vocab, b.dims.hidden),
        position_embeddings(b, "position_embeddings", b.dims.positions, b.dims.hidden),
        token_type_embeddings(b, "token_type_embeddings", b.dims.token_types, b.dims.hidden),
        layer_norm(b, "LayerNorm", b.dims.hidden),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")),
        token_type_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "token_type_ids")) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor positions = slice(position_ids, 1, b.dims.seq);
    const Tensor gathered = b.tape.make({1, b.dims.seq}, DType::kInt64, "gather");
    const Tensor types = expand(gathered, {b.dims.batch, b.dims.seq});
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, word_embeddings(input_ids));
    const Tensor type_embeds = token_type_embeddings(types);
    Tensor embeddings = add(inputs_embeds, type_embeds);
    const Tensor position_embeds = position_embeddings(positions);
    embeddings = add(embeddings, position_embeds);
    embeddings = layer_norm(embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// BertSelfAttention.
struct SelfAttention {
  const Builder& b;
  Linear query, key, value;

  explicit SelfAttention(const Builder& builder)
      : b(builder),
        query(b, "query", b.dims.hidden, b.dims.hidden, true),
        key(b, "key", b.dims.hidden, b.dims.hidden, true),
        value(b, "value", b.dims.hidden, b.dims.hidden, true) {}

  Tensor heads(const Linear& projection, const Tensor& hidden_states) const {
    return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
  }

  AttentionOutput operator()(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "self");
    const Tensor query_layer = heads(query, hidden_states);
    const Tensor key_layer = heads(key, hidden_states);
    const Tensor value_layer = heads(value, hidden_states);
    AttentionOutput attention =
        attend(query_layer, key_layer, value_layer, {b, 1, Tensor(), false, SoftmaxDtype::kAsItComes});
    attention.output = from_heads(attention.output);
    return attention;
  }
};

/// BertSelfOutput and BertOutput: they differ in the width that comes in.
struct Output {
  const Builder& b;
  Linear dense;
  LayerNorm layer_norm;

  Output(const Builder& builder, Expr in)
      : b(builder), dense(b, "dense", in, b.dims.hidden, true), layer_norm(b, "LayerNorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Tensor& input_tensor) const {
    const Scope scope(b.tape, "output");
    Tensor hidden_states = dense(input);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    hidden_states = layer_norm(add(hidden_states, input_tensor));
    return hidden_states;
  }
};

Output make_output(const Builder& b, Expr in) {
  const Scope scope(b.tape, "output");
  return {b, in};
}

/// BertAttention.
struct AttentionBlock {
  const Builder& b;
  SelfAttention self;
  Output output;

  explicit AttentionBlock(const Builder& builder)
      : b(builder), self(named<SelfAttention>(b, "self")), output(make_output(b, b.dims.hidden)) {}

  AttentionOutput operator()(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "attention");
    AttentionOutput attention = self(hidden_states);
    attention.output = output(attention.output, hidden_states);
    return attention;
  }
};

/// BertIntermediate.
struct Intermediate {
  const Builder& b;
  Linear dense;

  explicit Intermediate(const Builder& builder) : b(builder), dense(b, "dense", b.dims.hidden, b.dims.ffn, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "intermediate");
    Tensor hidden_states = dense(input);
    hidden_states = activate(b.description.activation, hidden_states);
    return hidden_states;
  }
};

/// BertLayer.
struct Layer {
  AttentionBlock attention;
  Intermediate intermediate;
  Output output;

  explicit Layer(const Builder& b)
      : attention(named<AttentionBlock>(b, "attention")),
        intermediate(named<Intermediate>(b, "intermediate")),
        output(make_output(b, b.dims.ffn)) {}

  Tensor operator()(const Tensor& hidden_states) const {
    const AttentionOutput attended = attention(hidden_states);
    const Tensor intermediate_output = intermediate(attended.output);
    return output(intermediate_output, attended.output);
  }
};

/// BertPooler.
struct Pooler {
  const Builder& b;
  Linear dense;

  explicit Pooler(const Builder& builder) : b(builder), dense(b, "dense", b.dims.hidden, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "pooler");
    const Tensor first_token = select_first(hidden_states);
    Tensor pooled = dense(first_token);
    pooled = tanh(pooled);
    return pooled;
  }
};

/// BertModel, with the pooler only where a head wants it.
struct Encoder {
  const Builder& b;
  Embeddings embeddings;
  Layers<Layer> layers;
  std::optional<Pooler> pooler;

  Encoder(const Builder& builder, bool pools)
      : b(builder),
        embeddings(named<Embeddings>(b, "embeddings")),
        layers(b, b.description.runs, b.dims.runs, [this](bool) { return named<Layer>(b, "encoder.layer.*"); }) {
    if (pools) pooler.emplace(named<Pooler>(b, "pooler"));
  }

  /// The last layer's output, or what the pooler makes of it.
  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "bert");
    const Tensor embedding_output = embeddings(input_ids);
    Tensor hidden_states = embedding_output;
    layers.run([&](const Layer& layer) {
      const Scope named_layer(b.tape, "encoder.layer.*");
      hidden_states = checkpoint(
          b.structure.checkpointing, [&layer](const Tensor& input, const Tensor&) { return layer(input); },
          hidden_states);
    });
    return pooler ? (*pooler)(hidden_states) : hidden_states;
  }
};

Encoder make_encoder(const Builder& b, bool pools) {
  const Scope scope(b.tape, "bert");
  return {b, pools};
}

/// BertLMPredictionHead.
struct PredictionHead {
  const Builder& b;
  Tensor bias;
  Linear dense;
  LayerNorm layer_norm;
  Linear decoder;

  PredictionHead(const Builder& builder, const Tensor& embedding)
      : b(builder),
        bias(b.parameter({b.dims.vocab}, "bias")),  // the decoder's where tied, else there but never used
        dense(b, "transform.dense", b.dims.hidden, b.dims.hidden, true),
        layer_norm(b, "transform.LayerNorm", b.dims.hidden),
        decoder(b.description.tied ? Linear("decoder", embedding, bias)
                                   : Linear(b, "decoder", b.dims.hidden, b.dims.vocab, true)) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "cls.predictions");
    Tensor hidden_states = dense(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = layer_norm(hidden_states);
    hidden_states = decoder(hidden_states);
    return hidden_states;
  }
};

PredictionHead make_prediction_head(const Builder& b, const Tensor& embedding) {
  const Scope scope(b.tape, "cls.predictions");
  return {b, embedding};
}

/// BertForMaskedLM.
class MaskedLm : public Model {
 public:
  explicit MaskedLm(const Builder& b)
      : b_(b),
        bert_(make_encoder(b_, false)),
        cls_(make_prediction_head(b_, bert_.embeddings.word_embeddings.weight())) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = bert_(batch.input_ids);
    const Tensor prediction_scores = cls_(sequence_output);
    return {token_loss(prediction_scores, batch.labels), prediction_scores};
  }

 private:
  Builder b_;
  Encoder bert_;
  PredictionHead cls_;
};

/// BertForSequenceClassification.
class Classifier : public Model {
 public:
  explicit Classifier(const Builder& b)
      : b_(b), bert_(make_encoder(b_, true)), classifier_(b_, "classifier", b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    Tensor pooled_output = bert_(batch.input_ids);
    pooled_output = dropout(pooled_output, b_.description.classifier_dropout);
    const Tensor logits = classifier_(pooled_output);
    return {label_loss(b_, logits, batch.labels), logits};
  }

 private:
  Builder b_;
  Encoder bert_;
  Linear classifier_;
};

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 30522);
  d.hidden = fields.size("hidden_size", 768);
  d.layers = fields.size("num_hidden_layers", 12);
  d.heads = d.kv_heads = fields.size("num_attention_heads", 12);
  d.ffn = fields.size("intermediate_size", 3072);
  d.positions = fields.size("max_position_embeddings", 512);
  d.token_types = fields.size("type_vocab_size", 2);
  d.activation = read_activation(fields, "hidden_act", "gelu");
  d.hidden_dropout = fields.probability("hidden_dropout_prob", 0.1);
  d.attention_dropout = fields.probability("attention_probs_dropout_prob", 0.1);
  d.classifier_dropout =
      fields.has("classifier_dropout") ? fields.probability("classifier_dropout", 0.1) : d.hidden_dropout;
  d.tied = fields.flag("tie_word_embeddings", true);
  d.learned_positions = true;
  fields.refuse_flag("is_decoder", false, "makes a decoder of it");
  fields.refuse_flag("add_cross_attention", false, "adds cross attention");
  if (fields.text("position_embedding_type", "absolute") != "absolute")
    fields.fail("position_embedding_type", "only \"absolute\" is modelled (transformers 5 has no other)");
  fields.ignore({"directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                 "pooler_size_per_head", "pooler_type"});
  if (d.hidden % d.heads != 0)
    fields.fail("num_attention_heads",
                std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

constexpr std::array kTasks = {Task::kMaskedLm, Task::kSequenceClassification};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task == Task::kSequenceClassification) return std::make_unique<Classifier>(b);
  return std::make_unique<MaskedLm>(b);
}

}  // namespace

const Family kBert = {"bert", "BERT", "transformers 5.23, models/bert", Task::kMaskedLm, kTasks, read, build};

}  // namespace peakmem
