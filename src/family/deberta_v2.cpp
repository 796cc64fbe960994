// DeBERTa-v2 and v3: BERT whose attention scores positions relative to content, and content to positions (transformers
// 5.23, models/deberta_v2/modeling_deberta_v2.py).
#include "family/bert.h"
#include "model/task_heads.h"
#include "trace/gather.h"
#include "trace/masked_fill.h"
#include "trace/ops.h"

namespace peakmem {
namespace {

/// DebertaV2Embeddings; a batch's own mask is of another dtype.
struct DebertaEmbeddings {
  const Builder& b;
  Embedding words;
  std::optional<Embedding> positions, types;
  LayerNorm norm;
  Tensor position_ids;

  explicit DebertaEmbeddings(const Builder& builder)
      : b(builder),
        words(table("word_embeddings", b.dims.vocab)),
        positions(b.description.learned_positions ? std::optional(table("position_embeddings", b.dims.positions))
                                                  : std::nullopt),
        types(b.description.token_types > 0 ? std::optional(table("token_type_embeddings", b.dims.token_types))
                                            : std::nullopt),
        norm(named<LayerNorm>(b, kName, "LayerNorm", b.dims.hidden)),
        position_ids(b.tape.buffer({1, b.dims.positions}, DType::kInt64, "position_ids")) {}

  Embedding table(const char* name, Expr rows) const { return named<Embedding>(b, kName, name, rows, b.dims.hidden); }
  const Tensor& word_weight() const { return words.weight(); }

  Tensor operator()(const Tensor& input_ids, const Tensor& mask, const Tensor& token_type_ids) const {
    const Scope scope(b.tape, kName);
    const Tensor inputs_embeds = peakmem::inputs_embeds(b, words(input_ids));
    const Tensor position_embeddings =
        positions ? (*positions)(slice(position_ids, 1, b.dims.seq)) : zeros(inputs_embeds);
    Tensor embeddings = inputs_embeds;
    if (positions) embeddings = add(embeddings, position_embeddings);
    Tensor token_type_embeddings;
    if (types) {
      token_type_embeddings = (*types)(token_type_ids);
      embeddings = add(embeddings, token_type_embeddings);
    }
    embeddings = norm(embeddings);
    const Tensor cast_mask = mask ? to(unsqueeze(mask, 2), embeddings.dtype())
                                  : b.tape.make({b.dims.batch, b.dims.seq, 1}, embeddings.dtype(), "_to_copy");
    embeddings = mul(embeddings, cast_mask);
    embeddings = dropout(embeddings, b.description.hidden_dropout);
    return embeddings;
  }

 private:
  static constexpr const char* kName = "embeddings";
  static Tensor zeros(const Tensor& like) { return like.tape().make(like.shape(), like.dtype(), "zeros_like"); }
};

/// What all layers are told.
struct DebertaContext {
  Tensor attention_mask, relative_pos, rel_embeddings;
};

/// DisentangledSelfAttention.
struct DisentangledSelfAttention {
  const Builder& b;
  Linear query_proj, key_proj, value_proj;
  std::optional<Linear> pos_key_proj, pos_query_proj;

  explicit DisentangledSelfAttention(const Builder& builder)
      : b(builder),
        query_proj(projection("query_proj")),
        key_proj(projection("key_proj")),
        value_proj(projection("value_proj")) {
    const Description& d = b.description;
    if (d.shares_position_keys || d.buckets == 0) return;
    if (d.scores_positions) pos_key_proj.emplace(projection("pos_key_proj"));
    if (d.scores_against_positions) pos_query_proj.emplace(projection("pos_query_proj"));
  }

  Linear projection(const char* name) const { return {b, name, b.dims.hidden, b.dims.hidden, true}; }

  /// [B, T, C] as [B·heads, T, D], copied.
  Tensor for_scores(const Tensor& projected) const {
    const Tensor x = split_dim(projected, 2, b.dims.heads, b.dims.head_dim);
    return merge_dims(contiguous(transpose(x, 1, 2)), 0, 2);
  }

  Tensor operator()(const Tensor& hidden_states, const DebertaContext& context) const {
    const Scope scope(b.tape, "self");
    const Tensor query_layer = for_scores(query_proj(hidden_states));
    const Tensor key_layer = for_scores(key_proj(hidden_states));
    const Tensor value_layer = for_scores(value_proj(hidden_states));
    Tensor attention_scores = bmm(query_layer, div_scalar(transpose(key_layer, 1, 2)));
    Tensor rel_embeddings, rel_att;
    if (context.rel_embeddings) {
      rel_embeddings = dropout(context.rel_embeddings, b.description.hidden_dropout);
      rel_att = attention_bias(query_layer, key_layer, context.relative_pos, rel_embeddings);
    }
    if (rel_att) attention_scores = add(attention_scores, rel_att);
    attention_scores = split_dim(attention_scores, 0, b.dims.batch, b.dims.heads);
    const Tensor attention_mask = to(context.attention_mask, DType::kBool);
    attention_scores = masked_fill(attention_scores, inverted(attention_mask));
    Tensor attention_probs = softmax(attention_scores);
    attention_probs = dropout(attention_probs, b.description.attention_dropout);
    Tensor context_layer = bmm(to_low_precision(merge_dims(attention_probs, 0, 2)), value_layer);
    context_layer = contiguous(transpose(split_dim(context_layer, 0, b.dims.batch, b.dims.heads), 1, 2));
    return merge_dims(context_layer, 2, 2);
  }

 private:
  static Tensor inverted(const Tensor& mask) { return mask.tape().make(mask.shape(), DType::kBool, "bitwise_not"); }

  /// Projected positions, for every sequence.
  Tensor of_positions(const Linear& projection, const Tensor& rel_embeddings) const {
    return repeat_rows(for_scores(projection(rel_embeddings)), b.dims.batch);
  }

  /// torch.clamp(relative_pos + att_span, 0, att_span * 2 - 1), of the negated positions too.
  Tensor places(const Tensor& relative_pos, bool negated) const {
    Tape& tape = b.tape;
    Tensor shifted = relative_pos;
    if (negated) shifted = tape.make(relative_pos.shape(), DType::kInt64, "neg");
    shifted = tape.make(relative_pos.shape(), DType::kInt64, "add");
    return tape.make(relative_pos.shape(), DType::kInt64, "clamp");
  }

  /// disentangled_attention_bias.
  Tensor attention_bias(const Tensor& query_layer, const Tensor& key_layer, const Tensor& relative_positions,
                        const Tensor& all_rel_embeddings) const {
    const Description& d = b.description;
    const Tensor relative_pos = unsqueeze(relative_positions, 1);
    const Tensor rel_embeddings = unsqueeze(all_rel_embeddings, 0);
    Tensor pos_query_layer, pos_key_layer;
    if (d.shares_position_keys) {
      pos_query_layer = of_positions(query_proj, rel_embeddings);
      pos_key_layer = of_positions(key_proj, rel_embeddings);
    } else {
      if (pos_key_proj) pos_key_layer = of_positions(*pos_key_proj, rel_embeddings);
      if (pos_query_proj) pos_query_layer = of_positions(*pos_query_proj, rel_embeddings);
    }
    Tensor score, c2p_att, c2p_pos, p2c_att, p2c_pos;
    if (d.scores_positions) {
      c2p_att = bmm(query_layer, transpose(pos_key_layer, 1, 2));
      c2p_pos = places(relative_pos, false);
      c2p_att = gather_last(c2p_att, c2p_pos);
      score = add_scalar(div_scalar(c2p_att));  // 0 + ...
    }
    if (d.scores_against_positions) {
      p2c_pos = places(relative_pos, true);
      p2c_att = bmm(key_layer, transpose(pos_query_layer, 1, 2));
      p2c_att = transpose(gather_last(p2c_att, p2c_pos), 1, 2);
      const Tensor scaled = div_scalar(p2c_att);
      score = score ? add_in_place(score, scaled) : add_scalar(scaled);
    }
    return score;
  }
};

/// DebertaV2Layer.
struct DebertaLayer {
  const Builder& b;
  DisentangledSelfAttention self;
  BertOutput self_output;
  Linear dense;
  BertOutput output;

  explicit DebertaLayer(const Builder& builder)
      : b(builder),
        self(named<DisentangledSelfAttention>(b, "attention.self")),
        self_output(named<BertOutput>(b, "attention.output", b.dims.hidden)),
        dense(named<Linear>(b, "intermediate", "dense", b.dims.hidden, b.dims.ffn, true)),
        output(named<BertOutput>(b, "output", b.dims.ffn)) {}

  Tensor attention(const Tensor& hidden_states, const DebertaContext& context) const {
    const Scope scope(b.tape, "attention");
    const Tensor attended = self(hidden_states, context);
    const Scope of_output(b.tape, "output");
    return self_output(attended, hidden_states);
  }

  Tensor intermediate(const Tensor& input) const {
    const Scope scope(b.tape, "intermediate");
    Tensor hidden_states = dense(input);
    hidden_states = activate(b.description.activation, hidden_states);
    return hidden_states;
  }

  Tensor operator()(const Tensor& hidden_states, const DebertaContext& context) const {
    const Tensor attention_output = attention(hidden_states, context);
    const Tensor intermediate_output = intermediate(attention_output);
    const Scope scope(b.tape, "output");
    return output(intermediate_output, attention_output);
  }
};

/// make_log_bucket_position: TorchScript's names live to the end of the function.
Tensor bucket_positions(Tape& tape, const KeptShape& square) {
  const auto whole = [&](const char* op) { return tape.make(square, DType::kInt64, op); };
  const auto real = [&](const char* op) { return tape.make(square, DType::kFloat32, op); };
  const auto truth = [&](const char* op) { return tape.make(square, DType::kBool, op); };
  const Tensor sign = whole("sign");
  Tensor abs_pos;
  {
    Tensor below = truth("lt");
    Tensor above = truth("gt");
    const Tensor inside = truth("bitwise_and");
    below.reset();
    above.reset();
    const Tensor middle = tape.make({}, DType::kInt64, "_to_copy");
    const Tensor distance = whole("abs");
    abs_pos = whole("where");
  }
  Tensor log_pos;
  for (const char* op : {"div", "log", "div", "mul", "ceil", "add"}) log_pos = real(op);
  const Tensor is_small = truth("le");
  const Tensor small = real("_to_copy");
  const Tensor signed_log = real("mul");
  return real("where");
}

/// build_relative_position: [1, T, T].
Tensor relative_positions(const Builder& b) {
  const NoGrad no_grad(b.tape);
  Tape& tape = b.tape;
  const KeptShape& square = tape.keep({b.dims.seq, b.dims.seq});
  const Tensor q_ids = tape.make({b.dims.seq}, DType::kInt64, "arange");
  const Tensor k_ids = tape.make({b.dims.seq}, DType::kInt64, "arange");
  Tensor rel_pos_ids = tape.make(square, DType::kInt64, "sub");
  rel_pos_ids = bucket_positions(tape, square);
  rel_pos_ids = tape.make(square, DType::kInt64, "_to_copy");
  return unsqueeze(rel_pos_ids, 0);
}

/// DebertaV2Model.
class Body {
 public:
  explicit Body(const Builder& builder)
      : b_(builder),
        embeddings_(b_),
        layers_(
            b_, b_.description.runs, b_.dims.runs, [this](bool) { return named<DebertaLayer>(b_, kLayers); },
            kUnlikeAtTheEnd) {
    const Scope scope(b_.tape, "encoder");
    const int64_t span = b_.description.buckets;
    if (span > 0) rel_embeddings_.emplace(b_, "rel_embeddings", Expr(2 * span), b_.dims.hidden);
    if (b_.description.norms_positions) layer_norm_.emplace(b_, "LayerNorm", b_.dims.hidden);
  }

  const Tensor& word_weight() const { return embeddings_.word_weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, "deberta");
    if (!b_.structure.padding_mask && b_.description.has_padding_token) look_at_ends();
    const Shape tokens = {b_.dims.batch, b_.dims.seq};
    const Tensor attention_mask =
        b_.structure.padding_mask ? Tensor() : b_.tape.make(tokens, DType::kFloat32, "ones");  // else the batch's
    const Tensor token_type_ids = b_.tape.make(tokens, DType::kInt64, "zeros");
    const Tensor embedding_output = embeddings_(input_ids, attention_mask, token_type_ids);
    return encode(embedding_output, attention_mask ? DType::kFloat32 : DType::kInt64);
  }

 private:
  static constexpr const char* kLayers = "encoder.layer.*";
  static constexpr int64_t kUnlikeAtTheEnd = 2;  // all add to one gradient of the positions

  /// warn_if_padding_and_no_attention_mask looks at the first and last token of every sequence.
  void look_at_ends() const {
    Tape& tape = b_.tape;
    Tensor places = tape.make({2}, DType::kInt64, "_to_copy");
    const Tensor ends = tape.make({b_.dims.batch, 2}, DType::kInt64, "index");
    places.reset();
    Tensor padding = tape.make({b_.dims.batch, 2}, DType::kBool, "eq");
    const Tensor any = tape.make({}, DType::kBool, "any");
  }

  Tensor encode(const Tensor& embedding_output, DType mask_dtype) const {
    const Tensor extended_mask = b_.tape.make({b_.dims.batch, 1, b_.dims.seq, b_.dims.seq}, mask_dtype, "mul");
    DebertaContext context;
    if (rel_embeddings_) {
      context.relative_pos = relative_positions(b_);
      context.rel_embeddings = rel_embeddings_->weight();
      if (layer_norm_) context.rel_embeddings = normed(context.rel_embeddings);
    }
    std::vector<Tensor> all_hidden_states = {embedding_output};
    Tensor next_kv = embedding_output;
    layers_.run([&](const DebertaLayer& layer) {
      const Scope named_layer(b_.tape, kLayers);
      next_kv = checkpoint(
          b_.structure.checkpointing,
          [&layer, context](const Tensor& input, const Tensor& mask) {
            DebertaContext told = context;
            told.attention_mask = mask;
            return layer(input, told);
          },
          next_kv, extended_mask);
      all_hidden_states.push_back(next_kv);
    });
    return next_kv;
  }

  Tensor normed(const Tensor& weight) const {
    const Scope scope(b_.tape, "encoder");
    return (*layer_norm_)(weight);
  }

  const Builder& b_;
  DebertaEmbeddings embeddings_;
  Layers<DebertaLayer> layers_;
  std::optional<Embedding> rel_embeddings_;
  std::optional<LayerNorm> layer_norm_;
};

/// LegacyDebertaV2OnlyMLMHead.
PredictionHead prediction_head(const Builder& b, const Tensor& word_weight) {
  constexpr const char* kName = "cls.predictions";
  const Scope scope(b.tape, kName);
  const Tensor bias = b.parameter({b.dims.vocab}, "bias");  // the decoder's where tied, else there but never used
  Linear dense(b, "transform.dense", b.dims.hidden, b.dims.hidden, true);
  LayerNorm norm(b, "transform.LayerNorm", b.dims.hidden);
  return {kName, dense, norm, decoder_of_head(b, b.dims.hidden, word_weight, bias), b.description.activation};
}

/// DebertaV2ForMaskedLM.
class MaskedLm : public Model {
 public:
  explicit MaskedLm(const Builder& b)
      : b_(b), deberta_(named<Body>(b_, "deberta")), cls_(prediction_head(b_, deberta_.word_weight())) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor sequence_output = deberta_(batch.input_ids);
    const Tensor prediction_scores = cls_(sequence_output);
    return {token_loss(prediction_scores, batch.labels), prediction_scores};
  }

 private:
  Builder b_;
  Body deberta_;
  PredictionHead cls_;
};

/// DebertaV2ForSequenceClassification and DebertaV2ForMultipleChoice: ContextPooler and a layer.
class Pooled : public Model {
 public:
  explicit Pooled(const Builder& b)
      : b_(b),
        deberta_(named<Body>(b_, "deberta")),
        dense_(named<Linear>(b_, "pooler", "dense", b.dims.hidden, b.dims.hidden, true)),
        classifier_(b_, "classifier", b.dims.hidden, b.dims.labels, true) {}

  ModelOutput forward(const Batch& batch) override {
    const Tensor encoder_layer = deberta_(batch.input_ids);
    Tensor pooled_output = pool(encoder_layer);
    pooled_output = dropout(pooled_output, b_.description.classifier_dropout);
    const Tensor logits = classifier_(pooled_output);
    if (b_.description.task != Task::kMultipleChoice) return {label_loss(b_, logits, batch.labels), logits};
    const Expr examples = b_.dims.examples;
    const Tensor reshaped = split_dim(merge_dims(logits, 0, 2), 0, examples, exact_div(b_.dims.batch, examples));
    return {cross_entropy(reshaped, batch.labels), reshaped};
  }

 private:
  Tensor pool(const Tensor& hidden_states) const {
    const Scope scope(b_.tape, "pooler");
    Tensor context_token = select_first(hidden_states);
    context_token = dropout(context_token, b_.description.summary_dropout);
    const Tensor pooled_output = dense_(context_token);
    return activate(b_.description.head_activation, pooled_output);
  }

  Builder b_;
  Body deberta_;
  Linear dense_, classifier_;
};

std::unique_ptr<Model> build(const Builder& b) {
  const Task task = b.description.task;
  if (has_common_head(task))
    return build_common_head(b, {"classifier"}, [](const Builder& own) { return body_call<Body>(own, "deberta"); });
  if (task == Task::kMaskedLm) return std::make_unique<MaskedLm>(b);
  return std::make_unique<Pooled>(b);
}

/// pos_att_type: a list, or a text of names with bars between.
void read_scores(Fields& fields, Description& d) {
  const Value* types = fields.find("pos_att_type");
  if (types == nullptr || types->is_null()) return;
  std::string all = types->string;
  for (const Value& item : types->items) all += "|" + item.string;
  d.scores_positions = all.find("c2p") != std::string::npos;
  d.scores_against_positions = all.find("p2c") != std::string::npos;
}

void read_positions(Fields& fields, Description& d) {
  d.learned_positions = fields.flag("position_biased_input", true);
  read_scores(fields, d);
  d.shares_position_keys = fields.flag("share_att_key", false);
  const Value* buckets = fields.find("position_buckets");
  fields.ignore({"max_relative_positions"});
  const bool relative = fields.flag("relative_attention", false);
  const std::string norm = fields.text("norm_rel_ebd", "none");
  d.norms_positions = norm.find("layer_norm") != std::string::npos;
  if (!relative) return;
  d.buckets = buckets != nullptr && buckets->integer > 0 ? buckets->integer : 0;
  if (d.buckets == 0)
    fields.fail("position_buckets", "must be above 0: relative attention without buckets is not modelled",
                "set it to 256, as in the published configs");
  if (!d.scores_positions && !d.scores_against_positions)
    fields.fail("pos_att_type", "must name c2p or p2c where attention is relative");
  if (d.shares_position_keys && !(d.scores_positions && d.scores_against_positions))
    fields.fail("pos_att_type", "must name both c2p and p2c beside share_att_key: one alone is not modelled",
                "set it to \"c2p|p2c\", as in the published configs");
}

Description read(Fields& fields) {
  Description d = read_bert(fields, {128100, 1536, 24, 6144, false, false});
  d.layers = fields.size("num_hidden_layers", 24);
  const Value* types = fields.find("type_vocab_size");
  d.token_types = types == nullptr ? 0 : types->integer;
  read_positions(fields, d);
  d.tied_head_bias = "cls.predictions.bias";
  d.head_activation = read_activation(fields, "pooler_hidden_act", "gelu");
  d.summary_dropout = fields.probability("pooler_dropout", 0.0);
  d.classifier_dropout = fields.has("cls_dropout") ? fields.probability("cls_dropout", 0.0) : d.hidden_dropout;
  d.token_dropout = d.hidden_dropout;
  d.eager_only = true;
  const Value* padding = fields.find("pad_token_id");
  d.has_padding_token = padding == nullptr || !padding->is_null();
  fields.refuse_flag("legacy", true, "has another head");
  for (const char* name : {"conv_kernel_size", "embedding_size", "attention_head_size"})
    if (fields.has(name) && fields.find(name)->integer > 0)
      fields.fail(name, "is not modelled for deberta-v2", "leave it out");
  fields.ignore({"pooler_hidden_size", "conv_act", "conv_groups"});
  return d;
}

}  // namespace

const Family kDebertaV2 = {
    "deberta-v2", "DeBERTa-v2 and v3", "transformers 5.23, models/deberta_v2", Task::kMaskedLm, encoder_tasks(), read,
    build};

}  // namespace peakmem
