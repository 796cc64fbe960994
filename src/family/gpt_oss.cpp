// gpt-oss: a mixture of experts with biases in every MLP, attention with a learned sink for every head, and a window in
// every second layer (transformers 5.23, models/gpt_oss/modeling_gpt_oss.py).
#include "family/llama.h"
#include "family/olmo2.h"
#include "model/cache.h"
#include "model/experts.h"
#include "trace/sinks.h"

namespace peakmem {
namespace {

/// GptOssMLP: router and experts.
class GptOssMlp {
 public:
  explicit GptOssMlp(const Builder& builder) : b_(builder) {
    const Dims& d = b_.dims;
    {
      const Scope scope(b_.tape, "router");
      router_ = b_.parameter({d.experts, d.hidden}, "weight");
      router_bias_ = b_.parameter({d.experts}, "bias");
    }
    const Scope scope(b_.tape, "experts");
    gate_up_proj_ = b_.parameter({d.experts, d.hidden, 2 * d.ffn}, "gate_up_proj");
    gate_up_bias_ = b_.parameter({d.experts, 2 * d.ffn}, "gate_up_proj_bias");
    down_proj_ = b_.parameter({d.experts, d.ffn, d.hidden}, "down_proj");
    down_bias_ = b_.parameter({d.experts, d.hidden}, "down_proj_bias");
  }

  Tensor operator()(const Tensor& input) const {
    const Scope scope(b_.tape, "mlp");
    const Tensor rows = merge_dims(input, 0, 2);
    const auto [logits, scores, indices] = route(rows);
    const bool one_by_one = b_.structure.experts == Experts::kLoop;
    const Tensor output = one_by_one ? loop(rows, indices, scores) : grouped(rows, indices, scores);
    return split_dim(output, 0, b_.dims.batch, b_.dims.seq);
  }

 private:
  /// GptOssTopKRouter's router_logits, router_scores and router_indices: a softmax over the chosen ones.
  std::array<Tensor, 3> route(const Tensor& hidden_states) const {
    const Scope scope(b_.tape, "router");
    const Tensor logits = linear(hidden_states, router_, router_bias_);
    const auto [values, indices] = topk(logits, b_.dims.experts_per_token);
    const DType dtype = values.dtype();
    return {logits, softmax(values, &dtype), indices};
  }

  /// _apply_gate: gate and up are neighbours.
  static Tensor apply_gate(const Tensor& gate_up) {
    Tensor gate = every_second(gate_up);
    Tensor up = every_second(gate_up);
    gate = clamp(std::move(gate), false);
    up = clamp(std::move(up), true);
    const Tensor glu = mul(gate, sigmoid(mul_scalar(gate)));
    return mul(add_scalar(up), glu);
  }

  Tensor grouped(const Tensor& hidden_states, const Tensor& indices, const Tensor& scores) const {
    const Scope scope(b_.tape, "experts");
    const SortedPairs pairs(b_, hidden_states, indices, scores);
    Tensor biases = take_rows(gate_up_bias_, pairs.expert_ids());
    Tensor proj_out = add_in_place(grouped_product(pairs.selected(), gate_up_proj_, pairs.offsets()), biases);
    proj_out = apply_gate(proj_out);
    biases = take_rows(down_bias_, pairs.expert_ids());
    proj_out = add_in_place(grouped_product(proj_out, down_proj_, pairs.offsets()), biases);
    return pairs.mix(proj_out);
  }

  /// An expert's rows of a weight that lies [in, out], and its bias.
  static Tensor expert(const Tensor& rows, const Tensor& weight, const Tensor& bias) {
    Tensor product = linear(rows, transpose(select_row(weight), 0, 1), Tensor());
    return add(std::move(product), select_row(bias));
  }

  /// GptOssExperts.forward.
  Tensor loop(const Tensor& hidden_states, const Tensor& indices, const Tensor& scores) const {
    const Scope scope(b_.tape, "experts");
    Tape& tape = b_.tape;
    const Expr experts = b_.dims.experts;
    Tensor next_states = tape.make(hidden_states.shape(), hidden_states.dtype(), "zeros_like");
    const Tensor mask = tape.make({indices.size(0), indices.size(1), experts}, DType::kInt64, "one_hot");
    Tensor tokens = tape.make({experts}, DType::kInt64, "sum");
    Tensor hit = tape.make({experts}, DType::kBool, "gt");
    tokens.reset();
    const Tensor expert_hit = tape.make({experts, 1}, DType::kInt64, "nonzero");
    hit.reset();
    std::array<Tensor, 2> where;  // names of the loop's body live on into its next turn
    Tensor current_state, gate_up, gated_output, out, weighted_output;
    for (int64_t i = 0; i < b_.structure.expert_turns; ++i) {
      where = tokens_of_expert(b_, i);
      const auto& [top_k_pos, token_idx] = where;
      current_state = take_rows(hidden_states, token_idx);
      gate_up = expert(current_state, gate_up_proj_, gate_up_bias_);
      gated_output = apply_gate(gate_up);
      out = expert(gated_output, down_proj_, down_bias_);
      weighted_output = mul(out, index_rows(unsqueeze(scores, 2), token_idx, top_k_pos));
      next_states = index_add(next_states, token_idx, to(weighted_output, hidden_states.dtype()));
    }
    return next_states;
  }

  const Builder& b_;
  Tensor router_, router_bias_, gate_up_proj_, gate_up_bias_, down_proj_, down_bias_;
};

/// GptOssRotaryEmbedding: as many angles as there are pairs.
class PairRotary {
 public:
  explicit PairRotary(const Builder& builder) : b_(builder) {
    const Scope scope(b_.tape, "rotary_emb");
    const Shape half = {exact_div(b_.dims.rotary, 2)};
    inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "inv_freq");
    original_inv_freq_ = b_.tape.buffer(half, DType::kFloat32, "original_inv_freq");
  }

  Rotation operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    const Scope scope(b_.tape, "rotary_emb");
    const NoGrad no_grad(b_.tape);
    Tape& tape = b_.tape;
    Tensor positions = tape.make({1, b_.dims.seq, 1}, DType::kFloat32, "_to_copy");
    const Tensor freqs = tape.make({1, b_.dims.seq, exact_div(b_.dims.rotary, 2)}, DType::kFloat32, "mul");
    positions.reset();
    const Tensor cos = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "cos"));
    const Tensor sin = mul_scalar(tape.make(freqs.shape(), DType::kFloat32, "sin"));
    const Tensor cos_cast = to(cos, hidden_states.dtype());
    return {position_ids, cos_cast, to(sin, hidden_states.dtype())};
  }

 private:
  const Builder& b_;
  Tensor inv_freq_, original_inv_freq_;
};

/// _apply_rotary_emb: the halves one by one.
Tensor turn(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const auto [first_half, second_half] = split_in_two(x, x.shape().rank - 1);
  const auto difference = [](Tensor a, Tensor b) { return sub(std::move(a), std::move(b)); };
  Tensor straight = mul(first_half, cos);
  const Tensor first = difference(std::move(straight), mul(second_half, sin));
  straight = mul(second_half, cos);
  const Tensor second = add(std::move(straight), mul(first_half, sin));
  return cat(first, second, -1);
}

/// Each head's sink, registered before its module's projections.
struct Sinks {
  Tensor sinks;
  explicit Sinks(const Builder& b) : sinks(b.parameter({b.dims.heads}, "sinks")) {}
};

/// GptOssAttention.
struct GptOssAttention : Sinks, SelfAttention {
  explicit GptOssAttention(const Builder& builder) : Sinks(builder), SelfAttention(builder) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    const Tensor value_states = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = value_states;
    turn_both(query, key, rotation);
    update_cache(b, key, value);
    AttentionOutput attention = attend_with_sinks(query, key, value, mask);
    attention.output = from_heads(attention.output);
    attention.output = o_proj(attention.output);
    return attention;
  }

 private:
  void turn_both(Tensor& query, Tensor& key, const Rotation& rotation) const {
    const Scope scope(b.tape, "rotary");
    const Tensor cos = unsqueeze(rotation.cos, 1);
    const Tensor sin = unsqueeze(rotation.sin, 1);
    Tensor query_embed = turn(query, cos, sin);
    key = turn(key, cos, sin);
    query = std::move(query_embed);
  }

  Tensor repeated(const Tensor& states) const {
    if (!b.structure.grouped) return states;
    const KeptShape& s = states.shape();
    const Expr groups = exact_div(b.dims.heads, b.dims.kv_heads);
    return merge_dims(expand(unsqueeze(states, 2), {s[0], s[1], groups, s[2], s[3]}), 1, 2);
  }

  /// eager_attention_forward: a sink is one more key, whose weight is dropped.
  AttentionOutput attend_with_sinks(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Tensor& mask) const {
    const Tensor key_states = repeated(key);
    const Tensor value_states = repeated(value);
    Tensor weights = mul_scalar(matmul(query, transpose(key_states, 2, 3)));
    if (mask) weights = add(weights, mask);
    const Tensor column =
        expand(unsqueeze(unsqueeze(unsqueeze(sinks, 0), 2), 3), {b.dims.batch, b.dims.heads, b.dims.seq, 1});
    Tensor combined_logits = cat(weights, column, -1);
    combined_logits = sub(combined_logits, max_last(combined_logits));
    const DType dtype = combined_logits.dtype();
    const Tensor probs = softmax(combined_logits, &dtype);
    const Tensor scores = slice(probs, -1, b.dims.seq);
    weights = to(dropout(scores, b.description.attention_dropout), value_states.dtype());
    Tensor output = matmul(weights, value_states);
    output = transpose(output, 1, 2);
    return {contiguous(output), weights};
  }
};

struct GptOssParts : LlamaParts {
  using Rotary = PairRotary;
  using Layer = PreNormLayer<GptOssAttention, GptOssMlp, Olmo2RmsNorm>;
  using Norm = Olmo2RmsNorm;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 201088, 2880, 2880, 131072);
  d.layers = fields.size("num_hidden_layers", 36);
  d.heads = fields.size("num_attention_heads", 64);
  d.kv_heads = read_kv_heads(fields, d.heads, 8);
  d.head_dim =
      fields.find("head_dim") != nullptr && !fields.has("head_dim") ? d.hidden / d.heads : fields.size("head_dim", 64);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  read_experts(fields, d, 128, 4);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", true);
  d.eager_only = d.maps_masks = d.maps_windowed_masks = true;
  d.window = fields.size("sliding_window", 128);
  read_alternation(fields, d, 2);
  fields.ignore({"swiglu_alpha", "swiglu_limit", "initial_context_length", "experts_per_token"});
  return d;
}

}  // namespace

const Family kGptOss = {"gpt_oss",
                        "gpt-oss",
                        "transformers 5.23, models/gpt_oss",
                        Task::kCausalLm,
                        decoder_tasks(DecoderHeads::kTokens),
                        read,
                        build_decoder<GptOssParts>};

}  // namespace peakmem
