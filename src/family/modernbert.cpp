// ModernBERT: an encoder whose positions are turned, whose MLP is gated, and whose layers mostly see a window
// (transformers 5.23, models/modernbert/modeling_modernbert.py).
#include <algorithm>

#include "family/decoder.h"
#include "family/encoder.h"
#include "model/task_heads.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

LayerNorm norm_of(const Builder& b, const char* name) { return {b, name, b.dims.hidden, b.description.norm_bias}; }

/// ModernBertEmbeddings.
struct ModernBertEmbeddings {
  const Builder& b;
  Embedding tok_embeddings;
  LayerNorm norm;

  explicit ModernBertEmbeddings(const Builder& builder)
      : b(builder), tok_embeddings(b, "tok_embeddings", b.dims.vocab, b.dims.hidden), norm(norm_of(b, "norm")) {}

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b.tape, "embeddings");
    return dropout(norm(inputs_embeds(b, tok_embeddings(input_ids))), b.description.embedding_dropout);
  }
};

/// ModernBertMLP.
struct ModernBertMlp {
  const Builder& b;
  Linear wi, wo;

  explicit ModernBertMlp(const Builder& builder)
      : b(builder),
        wi(b, "Wi", b.dims.hidden, 2 * b.dims.ffn, b.description.mlp_bias),
        wo(b, "Wo", b.dims.ffn, b.dims.hidden, b.description.mlp_bias) {}

  Tensor operator()(Tensor hidden_states) const {
    const Scope scope(b.tape, "mlp");
    const Tensor x = std::move(hidden_states);
    const auto [input, gate] = split_in_two(wi(x), 2);
    return wo(dropout(mul(activate(b.description.activation, input), gate), b.description.ffn_dropout));
  }
};

/// ModernBertAttention.
struct ModernBertAttention {
  const Builder& b;
  Linear wqkv, wo;

  explicit ModernBertAttention(const Builder& builder)
      : b(builder),
        wqkv(b, "Wqkv", b.dims.hidden, 3 * b.dims.hidden, b.description.qkv_bias),
        wo(b, "Wo", b.dims.hidden, b.dims.hidden, b.description.qkv_bias) {}

  /// qkv.view(B, T, 3, heads, D).unbind(dim=-3)
  std::array<Tensor, 3> unbind(const Tensor& qkv) const {
    Tensor parts = split_dim(split_dim(qkv, 2, 3, b.dims.hidden), 3, b.dims.heads, b.dims.head_dim);
    std::array<Tensor, 3> each = split_in_three(std::move(parts), 2);
    for (Tensor& part : each) part = merge_dims(std::move(part), 2, 2);
    return each;
  }

  AttentionOutput operator()(Tensor hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Tensor x = std::move(hidden_states);
    const Tensor qkv = wqkv(x);
    auto [query, key, value] = unbind(qkv);
    query = transpose(std::move(query), 1, 2);
    key = transpose(std::move(key), 1, 2);
    value = transpose(std::move(value), 1, 2);
    apply_rotary_upcast(b, query, key, rotation.cos, rotation.sin);
    AttentionOutput attention = attend(query, key, value, {b, 1, mask, false});
    attention.output = from_heads(std::move(attention.output));
    attention.output = dropout(wo(attention.output), b.description.attention_dropout);
    return attention;
  }
};

/// ModernBertEncoderLayer; the first has no norm before its attention.
struct ModernBertLayer {
  const Builder& b;
  bool windowed;
  std::optional<LayerNorm> attn_norm;
  ModernBertAttention attn;
  LayerNorm mlp_norm;
  ModernBertMlp mlp;

  ModernBertLayer(const Builder& builder, bool is_windowed, bool is_first)
      : b(builder),
        windowed(is_windowed),
        attn_norm(is_first ? std::nullopt : std::optional<LayerNorm>(norm_of(b, "attn_norm"))),
        attn(named<ModernBertAttention>(b, "attn")),
        mlp_norm(norm_of(b, "mlp_norm")),
        mlp(named<ModernBertMlp>(b, "mlp")) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    const Tensor attn_output = attn(attn_norm ? (*attn_norm)(input) : input, rotation, mask).output;
    const Tensor hidden_states = add(input, attn_output);
    return add(hidden_states, mlp(mlp_norm(hidden_states)));
  }
};

/// ModernBertRotaryEmbedding: frequencies for each kind of layer there is.
struct ModernBertRotary {
  struct OfKind : RotaryEmbedding {
    explicit OfKind(const Builder& b) : RotaryEmbedding(b) {}
  };
  std::optional<OfKind> full, windowed;

  explicit ModernBertRotary(const Builder& b) {
    for (const LayerRun& run : b.description.runs) {
      has_full_ = has_full_ || !run.windowed || run.alternates();
      has_windowed_ = has_windowed_ || run.windowed || run.alternates();
    }
    if (has_full_) full.emplace(b);
    if (has_windowed_) windowed.emplace(b);
  }

  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    Rotations rotations;
    if (full) rotations.full = turned(*full, hidden_states, position_ids);
    if (windowed) rotations.windowed = turned(*windowed, hidden_states, position_ids);
    return rotations;
  }

 private:
  /// Layers are told of cos and sin alone.
  static Rotation turned(const OfKind& of_kind, const Tensor& hidden_states, const Tensor& position_ids) {
    Rotation rotation = of_kind(hidden_states, position_ids);
    rotation.position_ids.reset();
    return rotation;
  }

  bool has_full_ = false;
  bool has_windowed_ = false;
};

/// Keys within the window on both sides; where padding is known it is hidden too.
Tensor window_keys(const Builder& b) {
  Tape& tape = b.tape;
  const Shape square = {1, 1, b.dims.seq, b.dims.seq};
  const auto range = [&] {
    const Tensor from_zero = tape.make({b.dims.seq}, DType::kInt64, "arange");
    return tape.make({b.dims.seq}, DType::kInt64, "add");
  };
  const Tensor batch_range = tape.make({b.dims.batch}, DType::kInt64, "arange");
  const Tensor head_range = tape.make({1}, DType::kInt64, "arange");
  const Tensor queries = range();
  const Tensor keys = range();
  Tensor outer_ones = b.structure.padding_mask ? tape.make({}, DType::kBool, "new_ones") : Tensor();
  Tensor ones = tape.make({}, DType::kBool, "new_ones");
  Tensor distance = tape.make(square, DType::kInt64, "sub");
  distance = tape.make(square, DType::kInt64, "abs");
  Tensor inside = tape.make(square, DType::kBool, "le");
  distance.reset();
  Tensor visible = tape.make(square, DType::kBool, "bitwise_and");
  inside.reset();
  ones.reset();
  const Tensor queries_there_are = tape.make({1, 1, b.dims.seq, 1}, DType::kBool, "ge");
  visible = tape.make(square, DType::kBool, "bitwise_and");
  if (!b.structure.padding_mask) return visible;
  visible = tape.make(square, DType::kBool, "bitwise_and");
  outer_ones.reset();
  const Tensor padding = tape.make({b.dims.batch, 1, 1, b.dims.seq}, DType::kBool, "index");
  return tape.make({b.dims.batch, 1, b.dims.seq, b.dims.seq}, DType::kBool, "bitwise_and");
}

/// create_bidirectional_sliding_window_mask: empty where the whole sequence lies within the window.
Tensor window_mask(const Builder& b, const Tensor& hidden_states) {
  const NoGrad no_grad(b.tape);
  Tape& tape = b.tape;
  const Scope scope(tape, "bidirectional_mask");
  const Tensor padding =
      b.structure.padding_mask ? tape.make({b.dims.batch, b.dims.seq}, DType::kBool, "_to_copy") : Tensor();
  if (padding) tape.make({}, DType::kBool, "all");
  if (!b.structure.window_cuts || b.structure.attention == Attention::kFlash2) return {};
  Tensor visible = window_keys(b);
  const Shape sizes = {b.dims.batch, 1, b.dims.seq, b.dims.seq};
  if (b.structure.attention == Attention::kSdpa) return expand(std::move(visible), sizes);
  const Tensor zero = tape.make({}, hidden_states.dtype(), "zeros");
  const Tensor lowest = tape.make({}, hidden_states.dtype(), "scalar_tensor");
  return tape.make(sizes, hidden_states.dtype(), "where");
}

/// ModernBertModel.
class Body {
 public:
  explicit Body(const Builder& builder)
      : b_(builder),
        embeddings_(named<ModernBertEmbeddings>(b_, "embeddings")),
        layers_(b_, b_.description.runs, b_.dims.runs,
                [this, is_first = true](bool windowed) mutable {
                  const Scope scope(b_.tape, "layers.*");
                  return ModernBertLayer(b_, windowed, std::exchange(is_first, false));
                }),
        final_norm_(norm_of(b_, "final_norm")),
        rotary_emb_(b_) {}

  const Tensor& word_weight() const { return embeddings_.tok_embeddings.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, "model");
    const Tensor position_ids = unsqueeze(b_.tape.make({b_.dims.seq}, DType::kInt64, "arange"), 0);
    const Tensor inputs_embeds = embeddings_(input_ids);
    Tensor hidden_states = inputs_embeds;
    if (b_.structure.padding_mask) look_for_padding(hidden_states);
    const Tensor sliding_attention = window_mask(b_, hidden_states);
    const Rotations rotations = rotary_emb_(hidden_states, position_ids);
    layers_.run([&](const ModernBertLayer& layer) {
      const Scope named_layer(b_.tape, "layers.*");
      const Rotation rotation = layer_inputs(b_, rotations.of(layer.windowed));
      const Tensor mask = layer.windowed ? sliding_attention : Tensor();
      hidden_states = checkpoint(
          b_.structure.checkpointing,
          [&layer, rotation, mask](const Tensor& input, const Tensor&) { return layer(input, rotation, mask); },
          hidden_states);
    });
    hidden_states = final_norm_(hidden_states);
    return hidden_states;
  }

 private:
  const Builder& b_;
  ModernBertEmbeddings embeddings_;
  Layers<ModernBertLayer> layers_;
  LayerNorm final_norm_;
  ModernBertRotary rotary_emb_;
};

/// ModernBertPredictionHead.
struct Head {
  const Builder& b;
  Linear dense;
  LayerNorm norm;

  explicit Head(const Builder& builder)
      : b(builder),
        dense(b, "dense", b.dims.hidden, b.dims.hidden, b.description.classifier_bias),
        norm(norm_of(b, "norm")) {}

  Tensor operator()(const Tensor& hidden_states) const {
    const Scope scope(b.tape, "head");
    return norm(activate(b.description.head_activation, dense(hidden_states)));
  }
};

/// The body, a layer and a norm, and a projection: ModernBertForMaskedLM and its kin.
class Headed : public Model {
 public:
  explicit Headed(const Builder& b)
      : b_(b), model_(named<Body>(b_, "model")), head_(named<Head>(b_, "head")), projection_(make_projection()) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor outputs = model_(batch.input_ids);
    switch (b_.description.task) {
      case Task::kMaskedLm: {
        const Tensor logits = projection_(head_(outputs));
        return {masked_lm_loss(logits, batch), logits};
      }
      case Task::kTokenClassification: {
        const Tensor logits = classify(outputs);
        return {token_loss(logits, batch.labels), logits};
      }
      case Task::kQuestionAnswering:
        return answers(classify(outputs), batch);
      case Task::kMultipleChoice: {
        const Tensor logits = classify(first_tokens(outputs, batch));
        const Tensor reshaped_logits = of_examples(logits);
        return {cross_entropy(reshaped_logits, batch.labels), reshaped_logits};
      }
      default: {
        const Tensor logits = classify(b_.description.pools_mean ? mean(outputs, batch) : select_first(outputs));
        return {label_loss(b_, logits, batch.labels), logits};
      }
    }
  }

 private:
  Linear make_projection() const {
    const Dims& d = b_.dims;
    if (b_.description.task != Task::kMaskedLm) return {b_, "classifier", d.hidden, d.labels, true};
    constexpr const char* kName = "decoder";
    if (!b_.description.tied) return {b_, kName, d.hidden, d.vocab, b_.description.head_bias};
    const Scope scope(b_.tape, kName);
    b_.make_untied(model_.word_weight().shape(), "weight");
    return {kName, model_.word_weight(), b_.description.head_bias ? b_.parameter({d.vocab}, "bias") : Tensor()};
  }

  Tensor classify(const Tensor& features) const {
    Tensor hidden_states = head_(features);
    hidden_states = dropout(hidden_states, b_.description.classifier_dropout);
    return projection_(hidden_states);
  }

  /// ForMaskedLMLoss: of logits in fp32, by how many labels a trainer counted.
  Tensor masked_lm_loss(const Tensor& logits, const Batch& batch) const {
    const Scope scope(b_.tape, "loss");
    const Tensor full = to(logits, DType::kFloat32);
    return cross_entropy_of(merge_dims(full, 0, 2), merge_dims(batch.labels, 0, 2), batch);
  }

  ModelOutput answers(const Tensor& logits, const Batch& batch) const {
    auto [start_logits, end_logits] = split_in_two(logits, 2);
    start_logits = contiguous(merge_dims(std::move(start_logits), 1, 2));
    end_logits = contiguous(merge_dims(std::move(end_logits), 1, 2));
    return {answer_loss(b_, start_logits, end_logits, batch), start_logits, {}, {}, false, end_logits};
  }

  /// last_hidden_state[indices_0, cls_mask]
  Tensor first_tokens(const Tensor& outputs, const Batch& batch) const {
    const Tensor indices = b_.tape.make({b_.dims.batch}, DType::kInt64, "arange");
    const Tensor first = batch.attention_mask ? b_.tape.make({b_.dims.batch}, DType::kInt64, "argmax")
                                              : b_.tape.make({}, DType::kInt64, "full");
    return index_rows(outputs, indices, first);
  }

  /// logits.view(-1, num_choices)
  Tensor of_examples(const Tensor& logits) const {
    return split_dim(merge_dims(logits, 0, 2), 0, b_.dims.examples, exact_div(b_.dims.batch, b_.dims.examples));
  }

  Tensor mean(const Tensor& outputs, const Batch& batch) const {
    const Tensor mask =
        batch.attention_mask ? batch.attention_mask : b_.tape.make({b_.dims.batch, b_.dims.seq}, DType::kBool, "ones");
    Tensor sum = sum_dim(mul(outputs, unsqueeze(mask, 2)), 1);
    const Tensor tokens = b_.tape.make({b_.dims.batch, 1}, DType::kInt64, "sum");
    return div(std::move(sum), tokens);
  }

  Builder b_;
  Body model_;
  Head head_;
  Linear projection_;
};

std::unique_ptr<Model> build(const Builder& b) {
  if (b.description.task != Task::kFeatureExtraction) return std::make_unique<Headed>(b);
  return build_common_head(b, {"classifier"}, [](const Builder& own) { return body_call<Body>(own, "model"); });
}

/// The first layer of each group sees everything, the others a window.
void begin_groups_with_full(Description& d, int64_t period) {
  const int64_t groups = d.layers / period;
  const int64_t left = d.layers % period;
  if (period == 1) return d.runs.push_back({d.layers, false});
  if (groups > 0) d.runs.push_back({groups * period, true, period, 0});
  if (left > 0) d.runs.push_back({1, false});
  if (left > 1) d.runs.push_back({left - 1, true});
}

bool alternate_as_usual(const std::vector<std::string>& types, int64_t period) {
  for (size_t i = 0; i < types.size(); ++i)
    if ((types[i] == "full_attention") != (static_cast<int64_t>(i) % period == 0)) return false;
  return true;
}

void read_layers(Fields& fields, Description& d) {
  constexpr int64_t kUsualPeriod = 3;
  const int64_t period = fields.size("global_attn_every_n_layers", kUsualPeriod);
  d.window = std::max<int64_t>(1, fields.size("local_attention", 128) / 2);
  const std::vector<std::string> types = fields.texts("layer_types");
  if (!types.empty()) read_layer_types(fields, d, types);
  if (!alternate_as_usual(types, period)) return;
  d.runs.clear();
  begin_groups_with_full(d, period);
}

void read_heads(Fields& fields, Description& d) {
  d.head_activation = read_activation(fields, "classifier_activation", "gelu");
  d.classifier_bias = fields.flag("classifier_bias", false);
  d.classifier_dropout = fields.probability("classifier_dropout", 0.0);
  d.head_bias = fields.flag("decoder_bias", true);
  const std::string pooling = fields.text("classifier_pooling", "cls");
  d.pools_mean = pooling == "mean";
  if (pooling != "cls" && !d.pools_mean) fields.fail("classifier_pooling", "must be \"cls\" or \"mean\"");
  fields.refuse_flag("sparse_prediction", false, "makes logits of masked tokens only, however many those are");
}

Description read(Fields& fields) {
  Description d = read_decoder(fields, 50368, 768, 1152, 8192);
  d.layers = fields.size("num_hidden_layers", 22);
  d.heads = d.kv_heads = fields.size("num_attention_heads", 12);
  d.head_dim = d.hidden / d.heads;
  d.head_dim_is_quotient = true;
  d.activation = read_activation(fields, "hidden_activation", "gelu");
  d.qkv_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  d.norm_bias = fields.flag("norm_bias", false);
  d.embedding_dropout = fields.probability("embedding_dropout", 0.0);
  d.ffn_dropout = fields.probability("mlp_dropout", 0.0);
  d.tied = fields.flag("tie_word_embeddings", true);
  read_layers(fields, d);
  read_heads(fields, d);
  check_head_quotient(fields, d);
  fields.ignore({"cls_token_id", "sep_token_id", "deterministic_flash_attn", "initializer_cutoff_factor", "norm_eps",
                 "global_rope_theta", "local_rope_theta", "reference_compile", "repad_logits_with_grad",
                 "sparse_pred_ignore_index", "position_embedding_type"});
  return d;
}

}  // namespace

const Family kModernBert = {
    "modernbert", "ModernBERT", "transformers 5.23, models/modernbert", Task::kMaskedLm, encoder_tasks(), read, build};

}  // namespace peakmem
