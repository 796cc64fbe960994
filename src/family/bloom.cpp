// BLOOM: ALiBi, a bias that grows with distance, stands for positions; a norm follows the embedding, and the activation
// is its own (transformers 5.23, models/bloom/modeling_bloom.py).
#include <bit>

#include "family/lm.h"
#include "model/masks.h"
#include "trace/baddbmm.h"
#include "trace/bloom_gelu.h"
#include "trace/pick.h"

namespace peakmem {
namespace {

/// What all layers are told: the bias [B * heads, 1, T] and the mask.
struct Told {
  Tensor alibi;
  Tensor mask;
};

/// dropout_add.
Tensor dropout_add(const Builder& b, const Tensor& x, const Tensor& residual) {
  const Tensor out = dropout(x, b.description.hidden_dropout);
  return add(residual, out);
}

/// BloomAttention.
struct BloomAttention {
  const Builder& b;
  Linear query_key_value, dense;

  explicit BloomAttention(const Builder& builder)
      : b(builder),
        query_key_value(b, "query_key_value", b.dims.hidden, 3 * b.dims.hidden, true),
        dense(b, "dense", b.dims.hidden, b.dims.hidden, true) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& residual, const Told& told) const {
    const Scope scope(b.tape, "self_attention");
    const Dims& d = b.dims;
    const Tensor fused_qkv = query_key_value(hidden_states);
    auto [query, key, value] = split_heads(fused_qkv);
    update_cache(b, key, value);
    query = merge_dims(query, 0, 2);
    key = transpose(merge_dims(key, 0, 2), 1, 2);
    value = merge_dims(value, 0, 2);
    const Tensor attention_scores = scores(told.alibi, query, key);
    Tensor weights = split_dim(attention_scores, 0, d.batch, d.heads);
    if (told.mask) weights = add(weights, told.mask);
    const DType full = DType::kFloat32;
    Tensor probs = to(softmax(weights, &full), query.dtype());
    probs = dropout(probs, b.description.attention_dropout);
    const Tensor reshaped = merge_dims(probs, 0, 2);
    Tensor context = bmm(reshaped, value);
    context = merge_dims(transpose(split_dim(context, 0, d.batch, d.heads), 1, 2), 2, 2);
    Tensor output = dense(context);
    output = dropout_add(b, output, residual);
    return {std::move(output), std::move(probs)};
  }

 private:
  /// _reshape.
  std::array<Tensor, 3> split_heads(const Tensor& fused_qkv) const {
    const Dims& d = b.dims;
    const Tensor qkv = split_dim(split_dim(fused_qkv, 2, d.heads, 3 * d.head_dim), 3, 3, d.head_dim);
    Tensor query = transpose(select_at(qkv, 3), 1, 2);
    Tensor key = transpose(select_at(qkv, 3), 1, 2);
    return {std::move(query), std::move(key), transpose(select_at(qkv, 3), 1, 2)};
  }

  /// alibi.baddbmm, which autocast casts for.
  Tensor scores(const Tensor& alibi, const Tensor& query, const Tensor& key) const {
    const Tensor right = to_low_precision(key);
    const Tensor left = to_low_precision(query);
    const Tensor bias = to_low_precision(alibi);
    return baddbmm(bias, left, right, b.description.head_dim > 1);
  }
};

/// BloomMLP.
struct BloomMlp {
  const Builder& b;
  Linear dense_h_to_4h, dense_4h_to_h;

  explicit BloomMlp(const Builder& builder)
      : b(builder),
        dense_h_to_4h(b, "dense_h_to_4h", b.dims.hidden, b.dims.ffn, true),
        dense_4h_to_h(b, "dense_4h_to_h", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input, const Tensor& residual) const {
    const Scope scope(b.tape, "mlp");
    const Tensor hidden_states = bloom_gelu(dense_h_to_4h(input));
    const Tensor intermediate_output = dense_4h_to_h(hidden_states);
    return dropout_add(b, intermediate_output, residual);
  }
};

/// BloomBlock.
struct BloomBlock {
  const Builder& b;
  LayerNorm input_layernorm;
  BloomAttention self_attention;
  LayerNorm post_attention_layernorm;
  BloomMlp mlp;

  explicit BloomBlock(const Builder& builder)
      : b(builder),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        self_attention(named<BloomAttention>(b, "self_attention")),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden),
        mlp(named<BloomMlp>(b, "mlp")) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Told& told) const {
    const bool normed = b.description.norms_after;
    Tensor layernorm_output = input_layernorm(hidden_states);
    Tensor residual = normed ? layernorm_output : hidden_states;
    AttentionOutput attention = self_attention(layernorm_output, residual, told);
    layernorm_output = post_attention_layernorm(attention.output);
    residual = normed ? layernorm_output : attention.output;
    Tensor output = mlp(layernorm_output, residual);
    return {std::move(output), std::move(attention.weights)};
  }
};

/// BloomModel.
class BloomModel {
 public:
  static constexpr const char* kName = "transformer";

  explicit BloomModel(const Builder& builder)
      : b_(builder),
        word_embeddings_(in_outer_unit(
            b_, Outer::kEmbedding, [this] { return Embedding(b_, "word_embeddings", b_.dims.vocab, b_.dims.hidden); })),
        word_embeddings_layernorm_(b_, "word_embeddings_layernorm", b_.dims.hidden),
        h_(b_, b_.description.runs, b_.dims.runs, [this](bool) { return named<BloomBlock>(b_, "h.*"); }),
        ln_f_(in_outer_unit(b_, Outer::kNorm, [this] { return LayerNorm(b_, "ln_f", b_.dims.hidden); })) {}

  const Tensor& embedding_weight() const { return word_embeddings_.weight(); }

  Tensor operator()(const Tensor& input_ids) const {
    const Scope scope(b_.tape, kName);
    Tensor embedded = call_in_outer_unit(b_.tape, Outer::kEmbedding, [&] { return word_embeddings_(input_ids); });
    const Tensor inputs_embeds = peakmem::inputs_embeds(b_, std::move(embedded));
    Tensor hidden_states = word_embeddings_layernorm_(inputs_embeds);
    Tensor slopes;
    Told told;
    if (b_.structure.padding_mask) {
      told.alibi = bias_of_mask(hidden_states.dtype());
    } else {
      slopes = alibi_slopes();
      told.alibi = bias(hidden_states.dtype());
    }
    told.mask = causal_mask(b_, false, inputs_embeds.dtype());
    Tensor weights;  // that the last layer handed on
    h_.run([&](const BloomBlock& block) {
      const Scope layer(b_.tape, "h.*");
      const Told own = inputs_of_layer(told);
      AttentionOutput output =
          run_layer(b_, [&block, own](const Tensor& input) { return block(input, own); }, hidden_states);
      hidden_states = std::move(output.output);
      weights = std::move(output.weights);
    });
    return call_in_outer_unit(b_.tape, Outer::kNorm, [&] { return ln_f_(hidden_states); });
  }

 private:
  /// FSDP2 casts what it hands to a unit.
  Told inputs_of_layer(const Told& told) const {
    if (!b_.structure.casts_inputs) return told;
    const Tensor mask = told.mask && is_floating(told.mask.dtype()) ? to(told.mask, b_.structure.weights) : told.mask;
    return {to(told.alibi, b_.structure.weights), mask};
  }

  /// _get_alibi_slopes: of as many heads as the largest power of two, and of the rest.
  Tensor alibi_slopes() const {
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    const auto heads = static_cast<uint64_t>(b_.description.heads);
    const auto power = static_cast<int64_t>(std::bit_floor(heads));
    const Tensor base = tape.make({}, DType::kFloat32, "full");
    const Tensor powers = tape.make({power}, DType::kInt32, "arange");
    Tensor slopes = tape.make({power}, DType::kFloat32, "pow");
    const int64_t rest = b_.description.heads - power;
    if (rest == 0) return slopes;
    const Tensor extra_base = tape.make({}, DType::kFloat32, "full");
    const Tensor extra_powers = tape.make({rest}, DType::kInt32, "arange");
    const Tensor extra = tape.make({rest}, DType::kFloat32, "pow");
    return tape.make({b_.dims.heads}, DType::kFloat32, "cat");
  }

  Tensor bias(DType dtype) const {
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    const Dims& d = b_.dims;
    Tensor range = tape.make({d.seq}, DType::kInt64, "arange");
    Tensor alibi = tape.make({d.heads, 1, d.seq}, DType::kFloat32, "mul");
    range.reset();
    const Tensor repeated = tape.make({d.batch * d.heads, 1, d.seq}, DType::kFloat32, "repeat");
    return to(repeated, dtype);
  }

  /// build_alibi_tensor of a mask of ones.
  Tensor bias_of_mask(DType dtype) const {
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    const Dims& d = b_.dims;
    const Tensor slopes = alibi_slopes();
    const Shape tokens = {d.batch, d.seq};
    Tensor counted = tape.make(tokens, DType::kInt64, "cumsum");
    Tensor less = tape.make(tokens, DType::kInt64, "sub");
    counted.reset();
    const Tensor range = tape.make(tokens, DType::kInt64, "mul");
    less.reset();
    const Tensor alibi = tape.make({d.batch * d.heads, 1, d.seq}, DType::kFloat32, "mul");
    return to(alibi, dtype);
  }

  const Builder& b_;
  Embedding word_embeddings_;
  LayerNorm word_embeddings_layernorm_;
  Layers<BloomBlock> h_;
  LayerNorm ln_f_;
};

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 250880);
  d.hidden = fields.size("hidden_size", 64, "n_embed");
  d.layers = fields.size("n_layer", 2, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("n_head", 8, "num_attention_heads");
  d.ffn = 4 * d.hidden;
  d.ffn_is_four_hidden = true;
  d.head_dim = d.hidden / d.heads;
  d.hidden_dropout = fields.probability("hidden_dropout", 0.0);
  d.attention_dropout = fields.probability("attention_dropout", 0.0);
  d.token_dropout = read_token_dropout(fields, 0.0);
  d.norms_after = fields.flag("apply_residual_connection_post_layernorm", false);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.eager_only = d.returns_weights = true;
  d.positions = fields.size("seq_length", 2048);  // what the model was trained for: the bias has no end
  if (fields.flag("slow_but_exact", false) && fields.size("pretraining_tp", 1) > 1)
    fields.fail("slow_but_exact", "is not modelled: it cuts projections into pieces", "set it to false");
  if (d.hidden % d.heads != 0)
    fields.fail("n_head", std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  fields.ignore({"pretraining_tp", "offset_alibi", "attention_softmax_in_fp32", "bias_dropout_fusion",
                 "masked_softmax_fusion", "unk_token_id", "skip_bias_add", "skip_bias_add_qkv"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                               Task::kTokenClassification, Task::kQuestionAnswering};
constexpr SizeNames kSizes = {"n_layer", "n_head", "hidden_size", nullptr};

}  // namespace

const Family kBloom = {
    "bloom", "BLOOM", "transformers 5.23, models/bloom", Task::kCausalLm, kTasks, read, build_lm<BloomModel>, &kSizes};

}  // namespace peakmem
