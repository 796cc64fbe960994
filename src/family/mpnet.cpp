// MPNet: RoBERTa without token types, whose attention adds a bias of relative positions that all layers share
// (transformers 5.23, models/mpnet/modeling_mpnet.py).
#include "family/bert.h"
#include "model/t5_attention.h"

namespace peakmem {
namespace {

/// MPNetEmbeddings.
struct MpnetEmbeddings {
  const Builder& b;
  Embedding words, positions;
  LayerNorm norm;
  Tensor position_ids;

  explicit MpnetEmbeddings(const Builder& builder)
      : b(builder),
        words(named<Embedding>(b, "embeddings", "word_embeddings", b.dims.vocab, b.dims.hidden)),
        positions(named<Embedding>(b, "embeddings", "position_embeddings", b.dims.positions, b.dims.hidden)),
        norm(named<LayerNorm>(b, "embeddings", "LayerNorm", b.dims.hidden)),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  const Tensor& word_weight() const { return words.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    const Tensor positions_of_tokens = positions_after_padding(input_ids, false);
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, words(input_ids));
    const Tensor position_embeddings = positions(positions_of_tokens);
    Tensor embeddings = add(inputs_embeds, position_embeddings);
    embeddings = norm(embeddings);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }
};

/// MPNetEncoder's bias: [B, heads, T, T], a copy for each sequence.
struct RelativeBias {
  const Builder& b;
  Embedding relative_attention_bias;

  explicit RelativeBias(const Builder& builder)
      : b(builder),
        relative_attention_bias(
            named<Embedding>(b, "encoder", "relative_attention_bias", Expr(b.description.buckets), b.dims.heads)) {}

  EncoderContext before(Tensor& /*hidden_states*/) const {
    const Scope scope(b.tape, "encoder.relative_attention_bias");
    Tape& tape = b.tape;
    const KeptShape& square = tape.keep({b.dims.seq, b.dims.seq});
    const Tensor context_position = tape.make({b.dims.seq}, DType::kInt64, "arange");
    const Tensor memory_position = tape.make({b.dims.seq}, DType::kInt64, "arange");
    const Tensor relative_position = tape.make(square, DType::kInt64, "sub");
    const Tensor rp_bucket = buckets(tape, square);
    Tensor values = relative_attention_bias(rp_bucket);
    values = unsqueeze(transpose(transpose(std::move(values), 0, 2), 1, 2), 0);
    values = expand(std::move(values), {b.dims.batch, b.dims.heads, b.dims.seq, b.dims.seq});
    return {contiguous(std::move(values)), {}, {}};
  }

  Tensor after(const Tensor& hidden_states) const { return hidden_states; }

 private:
  /// relative_position_bucket: half of the buckets for keys that follow.
  static Tensor buckets(Tape& tape, const KeptShape& square) {
    Tensor n = tape.make(square, DType::kInt64, "neg");
    Tensor follows = tape.make(square, DType::kBool, "lt");
    Tensor ret = tape.make(square, DType::kInt64, "_to_copy");
    follows.reset();
    for (const char* op : {"mul", "add"}) ret = tape.make(square, DType::kInt64, op);
    n = tape.make(square, DType::kInt64, "abs");
    const Tensor is_small = tape.make(square, DType::kBool, "lt");
    const Tensor far = far_buckets(tape, square);
    const Tensor chosen = tape.make(square, DType::kInt64, "where");  // added in place
    return ret;
  }
};

/// MPNetSelfAttention.
struct MpnetSelfAttention {
  const Builder& b;
  Linear q, k, v, o;

  explicit MpnetSelfAttention(const Builder& builder)
      : b(builder), q(projection("q")), k(projection("k")), v(projection("v")), o(projection("o")) {}

  Linear projection(const char* name) const { return {b, name, b.dims.hidden, b.dims.hidden, true}; }
  Tensor heads(const Linear& projection, const Tensor& hidden_states) const {
    return as_heads(projection(hidden_states), b.dims.heads, b.dims.head_dim);
  }

  Tensor operator()(const Tensor& hidden_states, const Tensor& position_bias) const {
    const Tensor query = heads(q, hidden_states);
    const Tensor key = heads(k, hidden_states);
    const Tensor value = heads(v, hidden_states);
    Tensor attention_scores = matmul(query, transpose(key, 2, 3));
    attention_scores = div_scalar(attention_scores);
    attention_scores = add_in_place(attention_scores, position_bias);
    Tensor attention_probs = softmax(attention_scores);
    attention_probs = dropout(attention_probs, b.description.attention_dropout);
    Tensor c = matmul(attention_probs, value);
    c = contiguous(transpose(c, 1, 2));
    c = merge_dims(c, 2, 2);
    return o(c);
  }
};

/// MPNetLayer.
struct MpnetLayer {
  const Builder& b;
  MpnetSelfAttention attn;
  LayerNorm layer_norm;
  Linear intermediate;
  BertOutput output;

  explicit MpnetLayer(const Builder& builder)
      : b(builder),
        attn(named<MpnetSelfAttention>(b, "attention.attn")),
        layer_norm(named<LayerNorm>(b, "attention", "LayerNorm", b.dims.hidden)),
        intermediate(named<Linear>(b, "intermediate", "dense", b.dims.hidden, b.dims.ffn, true)),
        output(named<BertOutput>(b, "output", b.dims.ffn)) {}

  Tensor attention(const Tensor& hidden_states, const Tensor& position_bias) const {
    const Scope scope(b.tape, "attention");
    const Tensor self_output = attend(hidden_states, position_bias);
    return layer_norm(add(dropout(self_output, b.description.hidden_dropout), hidden_states));
  }

  Tensor operator()(const Tensor& hidden_states, const EncoderContext& context) const {
    const Tensor attention_output = attention(hidden_states, context.bias);
    const Tensor intermediate_output = widen(attention_output);
    const Scope scope(b.tape, "output");
    return output(intermediate_output, attention_output);
  }

 private:
  Tensor attend(const Tensor& hidden_states, const Tensor& position_bias) const {
    const Scope scope(b.tape, "attn");
    return attn(hidden_states, position_bias);
  }
  Tensor widen(const Tensor& input) const {
    const Scope scope(b.tape, "intermediate");
    Tensor hidden_states = intermediate(input);
    hidden_states = activate(b.description.activation, hidden_states);
    return hidden_states;
  }
};

/// MPNetClassificationHead.
struct MpnetHead : ClassificationHead {
  explicit MpnetHead(const Builder& b) : ClassificationHead(b, Activation::kTanh) {}
};

/// MPNetForMultipleChoice's.
struct MpnetChooser : PooledClassifier {
  explicit MpnetChooser(const Builder& b) : PooledClassifier(b, b.description.hidden_dropout) {}
};

struct MpnetPooler : BertPooler {
  explicit MpnetPooler(const Builder& b) : BertPooler(b, "mpnet.pooler") {}
};

struct MpnetParts : UsualEncoderParts {
  using Embeddings = MpnetEmbeddings;
  using Around = RelativeBias;
  using Layer = MpnetLayer;
  using Classifier = MpnetHead;
  using Chooser = MpnetChooser;
  using Pooler = MpnetPooler;
  static constexpr bool kPoolsClasses = false;
  static constexpr bool kPoolsChoices = true;
  static constexpr const char* kModel = "mpnet";
  static PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
    return gelu_prediction_head(b, word_weight);
  }
};

constexpr int64_t kReserved = 2;  // positions are counted on from padding_idx, which is 1 whatever the config says

Description read(Fields& fields) {
  Description d = read_bert(fields, {30527, 768, 12, 3072, false, false});
  d.buckets = fields.size("relative_attention_num_buckets", 32);
  d.classifier_dropout = d.token_dropout = d.hidden_dropout;
  d.tied_head_bias = "lm_head.bias";
  d.reserved_positions = kReserved;
  d.eager_only = true;
  d.checkpoints = false;
  return d;
}

}  // namespace

const Family kMpnet = {"mpnet",         "MPNet", "transformers 5.23, models/mpnet", Task::kMaskedLm,
                       encoder_tasks(), read,    build_encoder<MpnetParts>};

}  // namespace peakmem
