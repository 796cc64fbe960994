// Falcon: attention and MLP side by side on one residual, keys and values of one head for all (7B) or of groups whose
// queries stand beside them (40B, 180B), and linear layers computed as plain products (transformers 5.23,
// models/falcon/modeling_falcon.py).
#include <optional>

#include "family/llama.h"
#include "model/cache.h"
#include "trace/pick.h"
#include "trace/sinks.h"

namespace peakmem {
namespace {

/// FalconLinear.
Linear falcon_linear(const Builder& b, const char* name, Expr in, Expr out) {
  return {b, name, in, out, b.description.qkv_bias, LinearForm::kMatmul};
}

/// FalconAttention.
struct FalconAttention {
  const Builder& b;
  Linear query_key_value, dense;

  explicit FalconAttention(const Builder& builder)
      : b(builder),
        query_key_value(falcon_linear(b, "query_key_value", b.dims.hidden, width(b.dims))),
        dense(falcon_linear(b, "dense", b.dims.hidden, b.dims.hidden)) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attention");
    const Tensor fused_qkv = query_key_value(hidden_states);
    auto [query, key, value] = split_heads(fused_qkv);
    query = alias(transpose(query, 1, 2));
    key = alias(transpose(key, 1, 2));
    value = alias(transpose(value, 1, 2));
    apply_rotary(b, query, key, rotation);
    update_cache(b, key, value);
    AttentionOutput attention = b.structure.attention == Attention::kSdpa
                                    ? sdpa(query, key, value, mask)
                                    : eager(query, key, value, mask, hidden_states.dtype());
    attention.output = merge_dims(transpose(attention.output, 1, 2), 2, 2);
    attention.output = dense(attention.output);
    return attention;
  }

 private:
  static Expr width(const Dims& d) { return d.hidden + 2 * d.kv_heads * d.head_dim; }

  /// _split_heads.
  std::array<Tensor, 3> split_heads(const Tensor& fused_qkv) const {
    const Dims& d = b.dims;
    if (b.description.interleaves_groups) return of_groups(fused_qkv);
    if (b.description.multi_query) {
      const Tensor qkv = split_dim(fused_qkv, 2, d.heads + 2, d.head_dim);
      Tensor query = slice(qkv, 2, d.heads);
      Tensor key = pick(qkv, 2);
      return {std::move(query), std::move(key), pick(qkv, 2)};
    }
    const Tensor qkv = split_dim(split_dim(fused_qkv, 2, d.heads, 3 * d.head_dim), 3, 3, d.head_dim);
    return {select_at(qkv, 3), select_at(qkv, 3), select_at(qkv, 3)};
  }

  /// Of a group's queries, key and value: the latter are copied for every query.
  std::array<Tensor, 3> of_groups(const Tensor& fused_qkv) const {
    const Dims& d = b.dims;
    const Expr queries = exact_div(d.heads, d.kv_heads);
    const Tensor qkv =
        split_dim(split_dim(fused_qkv, 2, d.kv_heads, (queries + 2) * d.head_dim), 3, queries + 2, d.head_dim);
    const Shape sizes = {d.batch, d.seq, d.kv_heads, queries, d.head_dim};
    const Tensor query = slice(qkv, 3, queries);
    Tensor key = pick(qkv, 3);
    Tensor value = pick(qkv, 3);
    key = expand(std::move(key), sizes);
    value = expand(std::move(value), sizes);
    Tensor flat_query = merge_dims(query, 2, 2);
    Tensor flat_key = merge_dims(key, 2, 2);
    return {std::move(flat_query), std::move(flat_key), merge_dims(value, 2, 2)};
  }

  bool one_head() const { return b.structure.grouped && !b.description.interleaves_groups; }

  AttentionOutput sdpa(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask) const {
    if (one_head()) return {broadcast_attention(query, key, value, mask), Tensor()};
    const KernelSizes sizes = {.head_dim = b.dims.padded_head_dim,
                               .seq = b.dims.padded_seq,
                               .bias_row = b.dims.bias_row,
                               .columns = b.dims.sdpa_columns,
                               .kernels = b.structure.attention_kernels};
    return {scaled_dot_product_attention(query, key, value, mask, 0.0, false, sizes), Tensor()};
  }

  /// `dtype`: of the hidden states, which is that of the norm before them.
  AttentionOutput eager(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& mask,
                        DType dtype) const {
    const auto product = one_head() ? matmul_broadcast : matmul;
    Tensor attention_scores = product(query, transpose(key, 2, 3));
    attention_scores = mul_scalar_in_place(std::move(attention_scores));
    attention_scores = softmax(add(attention_scores, mask), &dtype);
    Tensor output = product(attention_scores, value);
    return {std::move(output), attention_scores};
  }
};

/// FalconMLP.
struct FalconMlp {
  const Builder& b;
  Linear dense_h_to_4h, dense_4h_to_h;

  explicit FalconMlp(const Builder& builder)
      : b(builder),
        dense_h_to_4h(falcon_linear(b, "dense_h_to_4h", b.dims.hidden, b.dims.ffn)),
        dense_4h_to_h(falcon_linear(b, "dense_4h_to_h", b.dims.ffn, b.dims.hidden)) {}

  Tensor operator()(Tensor x) const {
    const Scope scope(b.tape, "mlp");
    x = activate(b.description.activation, dense_h_to_4h(x));
    return dense_4h_to_h(x);
  }
};

/// FalconDecoderLayer. Its first norm is the one that attention reads.
struct FalconLayer {
  const Builder& b;
  FalconAttention self_attention;
  FalconMlp mlp;
  std::optional<LayerNorm> post_attention_layernorm;
  LayerNorm input_layernorm;
  std::optional<LayerNorm> ln_mlp;

  explicit FalconLayer(const Builder& builder)
      : b(builder),
        self_attention(named<FalconAttention>(b, "self_attention")),
        mlp(named<FalconMlp>(b, "mlp")),
        post_attention_layernorm(norm_if(!b.description.parallel_residual, "post_attention_layernorm")),
        input_layernorm(b, b.description.mlp_norm ? "ln_attn" : "input_layernorm", b.dims.hidden),
        ln_mlp(norm_if(b.description.mlp_norm, "ln_mlp")) {}

  AttentionOutput operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor residual = input;
    const Tensor attention_layernorm_out = input_layernorm(input);
    Tensor mlp_layernorm_out = ln_mlp ? (*ln_mlp)(input) : attention_layernorm_out;
    AttentionOutput attended = self_attention(attention_layernorm_out, rotation, mask);
    if (post_attention_layernorm) {
      residual = add(residual, dropout(attended.output, b.description.inner_dropout));
      mlp_layernorm_out = (*post_attention_layernorm)(residual);
    }
    Tensor mlp_output = mlp(mlp_layernorm_out);
    if (b.description.parallel_residual) mlp_output = add_in_place(std::move(mlp_output), attended.output);
    Tensor output = add(residual, dropout(mlp_output, b.description.hidden_dropout));
    return {std::move(output), std::move(attended.weights)};
  }

 private:
  std::optional<LayerNorm> norm_if(bool there, const char* name) const {
    if (!there) return std::nullopt;
    return std::optional<LayerNorm>(std::in_place, b, name, b.dims.hidden);
  }
};

struct FalconParts : LlamaParts {
  using Layer = FalconLayer;
  using Norm = LayerNorm;
  static constexpr const char* kModel = "transformer";
  static constexpr const char* kEmbedding = "word_embeddings";
  static constexpr const char* kLayers = "h.*";
  static constexpr const char* kNorm = "ln_f";
};

/// new_decoder_architecture, multi_query, num_kv_heads: how queries, keys and values stand in one projection.
void read_layout(Fields& fields, Description& d) {
  d.interleaves_groups = fields.flag("new_decoder_architecture", false);
  d.multi_query = fields.flag("multi_query", true);
  const int64_t kv_heads = fields.optional_size("num_kv_heads").value_or(d.heads);
  d.kv_heads = d.interleaves_groups ? kv_heads : d.multi_query ? 1 : d.heads;
  if (!d.interleaves_groups && !d.multi_query && kv_heads != d.heads)
    fields.fail("num_kv_heads", "must be as many as heads where multi_query is false, or transformers raises");
  d.parallel_residual = fields.flag("parallel_attn", true);
  const int64_t norms = fields.optional_size("num_ln_in_parallel_attn").value_or(d.interleaves_groups ? 2 : 1);
  d.mlp_norm = norms == 2;
  if (d.interleaves_groups && !d.parallel_residual)
    fields.fail("parallel_attn", "must be true beside new_decoder_architecture, or transformers raises");
  if (!d.interleaves_groups && d.mlp_norm && d.parallel_residual)
    fields.fail("num_ln_in_parallel_attn", "of 2 needs new_decoder_architecture, or transformers raises");
  if (!d.interleaves_groups) d.mlp_norm = false;
}

Description read(Fields& fields) {
  Description d;
  d.vocab = fields.size("vocab_size", 65024);
  d.hidden = fields.size("hidden_size", 4544, "n_embed");
  d.layers = fields.size("num_hidden_layers", 32);
  d.heads = fields.size("num_attention_heads", 71);
  const auto inner = fields.optional_size("ffn_hidden_size");
  d.ffn = inner.value_or(4 * d.hidden);
  d.ffn_is_four_hidden = !inner;
  d.positions = fields.size("max_position_embeddings", 2048);
  d.head_dim = d.hidden / d.heads;
  d.activation = read_activation(fields, "activation", "gelu");
  d.hidden_dropout = fields.probability("hidden_dropout", 0.0);
  d.inner_dropout = fields.probability("attention_dropout", 0.0);
  d.token_dropout = read_token_dropout(fields, 0.0);
  d.qkv_bias = fields.flag("bias", false);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.returns_weights = true;
  read_layout(fields, d);
  fields.refuse_flag("alibi", false, "stands for positions in the scores");
  fields.ignore({"rope_theta", "rope_parameters", "apply_residual_connection_post_layernorm"});
  for (const char* name : {"rope_scaling", "rope_parameters"})
    if (const Value* parameters = fields.find(name))
      if (const Value* type = parameters->find("rope_type"); type != nullptr && type->string != "default")
        fields.fail(name, "is modelled for falcon with rope_type default only", "leave it out");
  check_head_quotient(fields, d);
  return d;
}

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", "ffn_hidden_size"};

}  // namespace

const Family kFalcon = {"falcon",
                        "Falcon",
                        "transformers 5.23, models/falcon",
                        Task::kCausalLm,
                        decoder_tasks(DecoderHeads::kAnswers),
                        read,
                        build_decoder<FalconParts>,
                        &kSizes};

}  // namespace peakmem
