// GPT-2 (transformers 5.23, models/gpt2/modeling_gpt2.py).
#include "family/gpt2.h"

#include <array>

namespace peakmem {
namespace {

/// GPT2Attention.
struct FusedAttention {
  const Builder& b;
  Conv1D c_attn;
  Conv1D c_proj;

  explicit FusedAttention(const Builder& builder)
      : b(builder),
        c_attn(b, "c_attn", b.dims.hidden, 3 * b.dims.hidden),
        c_proj(b, "c_proj", b.dims.hidden, b.dims.hidden) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Tensor& mask) const {
    const Scope scope(b.tape, "attn");
    const Dims& d = b.dims;
    auto [query, key, value] = split_in_three(c_attn(hidden_states), 2);
    key = as_heads(std::move(key), d.heads, d.head_dim);
    value = as_heads(std::move(value), d.heads, d.head_dim);
    query = as_heads(std::move(query), d.heads, d.head_dim);
    update_cache(b, key, value);
    AttentionOutput attention = upcasts() ? upcast_and_reordered(query, key, value, mask)
                                          : attend(query, key, value, {b, 1, mask, true, SoftmaxDtype::kCastToValues});
    attention.output = from_heads(attention.output);
    attention.output = c_proj(attention.output);
    attention.output = dropout(attention.output, b.description.hidden_dropout);
    return attention;
  }

  bool upcasts() const { return b.structure.attention == Attention::kEager && b.description.upcast_attention; }

  // _upcast_and_reordered_attn: scores by baddbmm in fp32, autocast off.
  AttentionOutput upcast_and_reordered(const Tensor& query, const Tensor& key, const Tensor& value,
                                       const Tensor& mask) const {
    Tensor weights = scores(query, key);
    if (mask) weights = add(weights, mask);
    weights = softmax(weights);
    weights = to(weights, value.dtype());
    weights = dropout(weights, b.description.attention_dropout);
    Tensor output = matmul(weights, value);
    output = transpose(output, 1, 2);
    return {output, weights};
  }

  Tensor scores(const Tensor& query, const Tensor& key) const {
    const bool autocast = std::exchange(b.tape.autocast.enabled, false);
    const Tensor preallocated =
        b.tape.make({b.dims.batch * b.dims.heads, b.dims.seq, b.dims.seq}, DType::kFloat32, "empty");
    const Tensor q = merge_dims(query, 0, 2);
    const Tensor k = merge_dims(transpose(key, 2, 3), 0, 2);
    Tensor product;
    {
      const Tensor full_query = to(q, DType::kFloat32);
      const Tensor full_key = to(k, DType::kFloat32);
      product = bmm(full_query, full_key);
    }
    product = split_dim(product, 0, b.dims.batch, b.dims.heads);
    b.tape.autocast.enabled = autocast;
    return product;
  }
};

struct Gpt2Parts {
  using Projection = Conv1D;
  using Attention = FusedAttention;
  static constexpr bool kBlocksGetPositions = true;
  static constexpr bool kMasksFirst = false;
  static Tensor positions(const Builder& b) { return position_ids(b); }
  static Tensor causal_buffer(const Builder& /*b*/) { return {}; }
  static Tensor loss(const Builder& b, const Tensor& logits, const Batch& batch) {
    return causal_lm_loss(b, logits, batch);
  }
};

Description read(Fields& fields) {
  Description d = read_gpt2(fields, "gelu_new");
  d.upcast_attention = fields.flag("reorder_and_upcast_attn", false);
  fields.ignore({"scale_attn_by_inverse_layer_idx"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kSequenceClassification, Task::kTokenClassification,
                               Task::kQuestionAnswering, Task::kFeatureExtraction};

}  // namespace

Description read_gpt2(Fields& fields, std::string_view activation) {
  Description d;
  d.vocab = fields.size("vocab_size", 50257);
  d.positions = fields.size("n_positions", 1024, "max_position_embeddings");
  d.hidden = fields.size("n_embd", 768, "hidden_size");
  d.layers = fields.size("n_layer", 12, "num_hidden_layers");
  d.heads = d.kv_heads = fields.size("n_head", 12, "num_attention_heads");
  const auto inner = fields.optional_size("n_inner");
  d.ffn = inner.value_or(4 * d.hidden);
  d.ffn_is_four_hidden = !inner;
  d.activation = read_activation(fields, "activation_function", activation);
  d.hidden_dropout = fields.probability("resid_pdrop", 0.1);
  d.embedding_dropout = fields.probability("embd_pdrop", 0.1);
  d.attention_dropout = fields.probability("attn_pdrop", 0.1);
  d.token_dropout = read_token_dropout(fields, 0.1);
  d.tied = fields.flag("tie_word_embeddings", true);
  d.learned_positions = true;
  fields.refuse_flag("add_cross_attention", false, "adds cross attention");
  fields.ignore({"scale_attn_weights", "summary_type", "summary_use_proj", "summary_activation",
                 "summary_proj_to_labels", "summary_first_dropout", "n_ctx"});
  if (d.hidden % d.heads != 0)
    fields.fail("n_head", std::to_string(d.heads) + " heads do not divide the hidden size " + std::to_string(d.hidden));
  d.head_dim = d.hidden / d.heads;
  return d;
}

const Family kGpt2 = {
    "gpt2",     "GPT-2", "transformers 5.23, models/gpt2", Task::kCausalLm, kTasks, read, build_gpt2<Gpt2Parts>,
    &kGpt2Sizes};

}  // namespace peakmem
