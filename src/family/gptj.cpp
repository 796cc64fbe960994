// GPT-J: attention and MLP read one norm, a part of each head is turned in pairs of neighbours by a table that every
// layer keeps, and scores are in fp32; CodeGen: with query, value and key in one projection, cut for four devices
// (transformers 5.23, models/gptj/modeling_gptj.py and models/codegen/modeling_codegen.py).
#include <array>

#include "family/gpt2.h"
#include "family/llama.h"
#include "model/cache.h"

namespace peakmem {
namespace {

/// Sine and cosine of the positions, as halves of the last dimension.
struct SinCos {
  Tensor table;
  Tensor sin;
  Tensor cos;

  explicit SinCos(Tensor sincos) : table(std::move(sincos)) {
    auto halves = split_in_two(table, 2);
    sin = unsqueeze(std::move(halves[0]), 2);
    cos = unsqueeze(std::move(halves[1]), 2);
  }
};

/// torch.repeat_interleave(x, 2, 3) of [1, T, 1, rotary / 2].
Tensor twice(const Builder& b, const Tensor& x) {
  return b.tape.make({1, b.dims.seq, 1, b.dims.rotary}, x.dtype(), "clone");
}

/// apply_rotary_pos_emb of [B, T, heads, rotary].
Tensor turn(const Builder& b, const Tensor& tensor, const SinCos& sincos) {
  const Tensor sin = twice(b, sincos.sin);
  const Tensor cos = twice(b, sincos.cos);
  return rotate_pairs(tensor, cos, sin);
}

/// When scores are divided: before the mask is added (GPT-J), or after.
enum class Scaled : uint8_t { kFirst, kLast };

/// What both do with queries, keys [B, T, heads, D] and values [B, heads, T, D].
struct TableAttention {
  const Builder& b;

  /// Turns a part of each head, keys first; the parts are names that live as long as the attention's others.
  void turn_both(HeadParts& q, HeadParts& k, Tensor& query, Tensor& key, const SinCos& sincos) const {
    const Scope scope(b.tape, "rotary");
    k.turned = turn(b, k.turned, sincos);
    q.turned = turn(b, q.turned, sincos);
    key = transpose(cat(k.turned, k.rest, -1), 1, 2);
    query = transpose(cat(q.turned, q.rest, -1), 1, 2);
  }

  /// _attn.
  AttentionOutput weigh(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                        Scaled scaled) const {
    const Tensor full_query = to(query, DType::kFloat32);
    const Tensor full_key = to(key, DType::kFloat32);
    Tensor weights = matmul(full_query, transpose(full_key, 2, 3));
    if (scaled == Scaled::kFirst) weights = div_scalar(weights);
    if (mask) weights = add(weights, mask);
    if (scaled == Scaled::kLast) weights = div_scalar(weights);
    weights = softmax(weights);
    weights = to(weights, value.dtype());
    weights = dropout(weights, b.description.attention_dropout);
    Tensor output = matmul(weights, value);
    return {std::move(output), weights};
  }

  /// _merge_heads.
  Tensor merged(const Tensor& output) const { return from_heads(contiguous(transpose(output, 1, 2))); }
};

/// The table of sines and cosines that an attention keeps.
Tensor make_table(const Builder& b) {
  return b.tape.buffer({b.dims.positions, b.dims.rotary}, DType::kFloat32, "embed_positions");
}

/// GPTJAttention.
struct GptJAttention : TableAttention {
  Linear k_proj, v_proj, q_proj, out_proj;
  Tensor embed_positions;

  explicit GptJAttention(const Builder& builder)
      : TableAttention{builder},
        k_proj(b, "k_proj", b.dims.hidden, b.dims.hidden, false),
        v_proj(b, "v_proj", b.dims.hidden, b.dims.hidden, false),
        q_proj(b, "q_proj", b.dims.hidden, b.dims.hidden, false),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, false),
        embed_positions(make_table(b)) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    Tensor query = q_proj(hidden_states);
    Tensor key = k_proj(hidden_states);
    Tensor value = v_proj(hidden_states);
    query = split_dim(query, 2, d.heads, d.head_dim);
    key = split_dim(key, 2, d.heads, d.head_dim);
    value = as_heads(value, d.heads, d.head_dim);
    const Tensor repeated = b.tape.make({1, d.positions, d.rotary}, DType::kFloat32, "repeat");
    const Tensor position_ids = b.tape.make({1, d.seq, d.rotary}, DType::kInt64, "repeat");
    const SinCos sincos(to(b.tape.make({1, d.seq, d.rotary}, DType::kFloat32, "gather"), key.dtype()));
    HeadParts k = head_parts(b, key);
    HeadParts q = head_parts(b, query);
    turn_both(q, k, query, key, sincos);
    update_cache(b, key, value);
    AttentionOutput attention = weigh(query, key, value, mask, Scaled::kFirst);
    attention.output = merged(attention.output);
    attention.output = out_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }
};

/// CodeGenAttention.
struct CodeGenAttention : TableAttention {
  Linear qkv_proj, out_proj;
  Tensor embed_positions;

  explicit CodeGenAttention(const Builder& builder)
      : TableAttention{builder},
        qkv_proj(b, "qkv_proj", b.dims.hidden, 3 * b.dims.hidden, false),
        out_proj(b, "out_proj", b.dims.hidden, b.dims.hidden, false),
        embed_positions(make_table(b)) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    const Tensor qkv = qkv_proj(hidden_states);
    auto [query, value, key] = split_in_three(split_dim(qkv, 2, kDevices, exact_div(3 * d.hidden, kDevices)), 3);
    query = whole_heads(query);
    key = whole_heads(key);
    value = transpose(whole_heads(value), 1, 2);
    const SinCos sincos(b.tape.make({1, d.seq, d.rotary}, DType::kFloat32, "index"));
    HeadParts k = head_parts(b, key);
    HeadParts q = head_parts(b, query);
    turn_both(q, k, query, key, sincos);
    update_cache(b, key, value);
    AttentionOutput attention = weigh(query, key, value, mask, Scaled::kLast);
    attention.output = merged(attention.output);
    attention.output = out_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }

 private:
  static constexpr int64_t kDevices = 4;  // mp_num

  /// _split_heads: [B, T, devices, C / devices] as [B, T, heads, D], which of one head a device it is.
  Tensor whole_heads(const Tensor& part) const {
    if (b.description.heads == kDevices) return part;
    return merge_dims(split_dim(part, 3, exact_div(b.dims.heads, kDevices), b.dims.head_dim), 2, 2);
  }
};

/// GPTJMLP.
struct GptJMlp {
  const Builder& b;
  Linear fc_in, fc_out;

  explicit GptJMlp(const Builder& builder)
      : b(builder),
        fc_in(b, "fc_in", b.dims.hidden, b.dims.ffn, true),
        fc_out(b, "fc_out", b.dims.ffn, b.dims.hidden, true) {}

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b.tape, "mlp");
    Tensor hidden_states = fc_in(input);
    hidden_states = activate(b.description.activation, hidden_states);
    hidden_states = fc_out(hidden_states);
    hidden_states = dropout(hidden_states, b.description.hidden_dropout);
    return hidden_states;
  }
};

/// GPTJBlock.
template <class Attention>
struct GptJBlock {
  LayerNorm ln_1;
  Attention attn;
  GptJMlp mlp;

  explicit GptJBlock(const Builder& b)
      : ln_1(b, "ln_1", b.dims.hidden), attn(named<Attention>(b, "attn")), mlp(named<GptJMlp>(b, "mlp")) {}

  AttentionOutput operator()(const Tensor& residual, const Rotation& /*rotation*/, const Tensor& mask) const {
    Tensor hidden_states = ln_1(residual);
    AttentionOutput attended = attn(hidden_states, mask);
    const Tensor feed_forward_hidden_states = mlp(hidden_states);
    hidden_states = add(add(attended.output, feed_forward_hidden_states), residual);
    return {std::move(hidden_states), std::move(attended.weights)};
  }
};

/// The tables are the layers': a model tells them positions alone.
struct NoRotary {
  explicit NoRotary(const Builder& /*b*/) {}
  Rotation operator()(const Tensor& /*hidden_states*/, const Tensor& position_ids) const {
    return {position_ids, Tensor(), Tensor()};
  }
};

struct GptJParts : LlamaParts {
  using Rotary = NoRotary;
  using Layer = GptJBlock<GptJAttention>;
  using Norm = LayerNorm;
  static constexpr const char* kModel = "transformer";
  static constexpr const char* kEmbedding = "wte";
  static constexpr const char* kLayers = "h.*";
  static constexpr const char* kNorm = "ln_f";
};

struct CodeGenParts : GptJParts {
  using Layer = GptJBlock<CodeGenAttention>;
};

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 50400);
  d.positions = fields.size("n_positions", 2048, "max_position_embeddings");
  d.hidden = fields.size("n_embd", 4096, "hidden_size");
  d.layers = fields.size("n_layer", 28, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("n_head", 16, "num_attention_heads");
  const auto inner = fields.optional_size("n_inner");
  d.ffn = inner.value_or(4 * d.hidden);
  d.ffn_is_four_hidden = !inner;
  d.activation = read_activation(fields, "activation_function", "gelu_new");
  d.hidden_dropout = fields.probability("resid_pdrop", 0.0);
  d.embedding_dropout = fields.probability("embd_pdrop", 0.0);
  d.attention_dropout = fields.probability("attn_pdrop", 0.0);
  d.tied = fields.flag("tie_word_embeddings", false);
  d.head_bias = d.learned_positions = d.eager_only = d.returns_weights = true;
  d.head_dim = d.hidden / d.heads;
  d.rotary = fields.size("rotary_dim", 64);
  if (d.rotary > d.head_dim || d.rotary % 2 != 0)
    fields.fail("rotary_dim", "is " + std::to_string(d.rotary) + " of a head's " + std::to_string(d.head_dim) +
                                  " features, which must be an even number of them");
  fields.ignore({"summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                 "summary_first_dropout", "n_ctx", "scale_attn_weights", "rotary"});
  check_head_quotient(fields, d);
  return d;
}

Description read_codegen(Fields& fields) {
  Description d = read(fields);
  if (d.heads % 4 != 0)
    fields.fail("n_head", "is " + std::to_string(d.heads) + ", and queries, keys and values are cut in four",
                "set it to a multiple of 4");
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction, Task::kSequenceClassification,
                               Task::kQuestionAnswering};

}  // namespace

const Family kGptJ = {"gptj", "GPT-J", "transformers 5.23, models/gptj", Task::kCausalLm,
                      kTasks, read,    build_decoder<GptJParts>,         &kGpt2Sizes};
const Family kCodeGen = {"codegen",
                         "CodeGen",
                         "transformers 5.23, models/codegen",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kNone),
                         read_codegen,
                         build_decoder<CodeGenParts>,
                         &kGpt2Sizes};

}  // namespace peakmem
