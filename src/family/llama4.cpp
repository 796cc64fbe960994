// Llama 4's text model: a mixture of experts in every MLP, all of which see all tokens, scaled by what a router gives,
// beside one that sees them as they are; three of four layers attend within chunks and turn positions as complex
// numbers, the fourth turns none (transformers 5.23, models/llama4/modeling_llama4.py).
#include "family/llama.h"
#include "model/cache.h"
#include "model/complex_rotary.h"
#include "trace/complex.h"
#include "trace/gather.h"
#include "trace/sampling.h"

namespace peakmem {
namespace {

/// _norm of Llama4TextL2Norm and Llama4TextRMSNorm, in fp32 and cast back.
Tensor normed(const Tensor& x) {
  Tensor inner;
  {
    const Tensor full = to(x, DType::kFloat32);
    Tensor scale = rsqrt(add_scalar(mean_last(pow_scalar(full))));
    inner = mul(full, std::move(scale));
  }
  return to(std::move(inner), x.dtype());
}

/// Llama4TextRMSNorm.
class Llama4Norm {
 public:
  Llama4Norm(const Builder& b, const char* name, Expr width) : name_(name) {
    const Scope scope(b.tape, name);
    weight_ = b.norm_parameter({width}, "weight");
  }
  Tensor operator()(const Tensor& x) const {
    const Scope scope(weight_.tape(), name_);
    const Tensor output = normed(x);
    return mul(output, weight_);
  }

 private:
  const char* name_;
  Tensor weight_;
};

/// Llama4TextAttention.
struct Llama4Attention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = split_dim(q_proj(hidden_states), 2, d.heads, d.head_dim);
    Tensor key = split_dim(k_proj(hidden_states), 2, d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    if (rotation.turns) turn(query, key, rotation);
    if (rotation.turns && b.description.norms_heads) {
      query = normed(query);
      key = normed(key);
    }
    Tensor scales;
    if (!rotation.turns && b.description.tunes_temperature) scales = scale(query);
    query = transpose(query, 1, 2);
    key = transpose(key, 1, 2);
    update_cache(b, key, value);
    const Expr groups = b.structure.grouped ? exact_div(d.heads, d.kv_heads) : Expr(1);
    AttentionOutput attention = attend(query, key, value, {b, groups, mask, true, SoftmaxDtype::kAsItComes, true});
    attention.output = from_heads(attention.output);
    attention.output = o_proj(attention.output);
    return attention;
  }

 private:
  /// apply_rotary_emb of [B, T, heads, D].
  void turn(Tensor& query, Tensor& key, const Rotation& rotation) const {
    const Scope scope(b.tape, "rotary");
    const Tensor q_pairs = in_complex_pairs(query);
    const Tensor k_pairs = in_complex_pairs(key);
    const Tensor freqs_cis = unsqueeze(rotation.cos, 2);
    const Tensor q_out = view_as_real(mul_complex(q_pairs, freqs_cis));
    const Tensor k_out = view_as_real(mul_complex(k_pairs, freqs_cis));
    Tensor turned = to(q_out, query.dtype());
    key = to(k_out, key.dtype());
    query = std::move(turned);
  }

  /// Queries scaled by their position; what by lives as long as the attention's other names.
  Tensor scale(Tensor& query) const {
    Tape& tape = b.tape;
    const Shape positions = {b.dims.seq};
    Tensor scales;
    {
      const NoGrad no_grad(tape);
      Tensor range = tape.make(positions, DType::kInt64, "add");
      for (int i = 0; i < kScaleOps; ++i) scales = tape.make({1, b.dims.seq, 1, 1}, DType::kFloat32, "log1p");
    }
    query = to(mul(query, scales), query.dtype());
    return scales;
  }

  static constexpr int kScaleOps = 7;  // float, + 1, / floor, floor, log1p, * scale, + 1
};

/// Llama4TextMoe.
class Llama4Moe {
 public:
  explicit Llama4Moe(const Builder& builder) : b_(builder), shared_expert_(make_parts()) {}

  /// Its output as rows, and the router's logits, which the layer names.
  std::array<Tensor, 2> operator()(const Tensor& input) const {
    const Scope scope(b_.tape, "feed_forward");
    const Dims& d = b_.dims;
    const Tensor hidden_states = merge_dims(input, 0, 2);
    auto [scores, logits] = route(hidden_states);
    Tensor routed_in = repeat_rows(hidden_states, d.experts);
    Tensor column = merge_dims(transpose(scores, 0, 1), 0, 2);
    routed_in = mul(routed_in, unsqueeze(std::move(column), 1));
    const Tensor routed_out = experts(routed_in);
    Tensor out = shared_expert_(hidden_states);
    Tensor sum = sum_dim(split_dim(routed_out, 0, d.experts, hidden_states.size(0)), 0);
    out = add_in_place(std::move(out), sum);
    return {std::move(out), std::move(logits)};
  }

 private:
  Mlp make_parts() {
    const Dims& d = b_.dims;
    {
      const Scope scope(b_.tape, "experts");
      gate_up_proj_ = b_.parameter({d.experts, d.hidden, 2 * d.ffn}, "gate_up_proj");
      down_proj_ = b_.parameter({d.experts, d.ffn, d.hidden}, "down_proj");
    }
    router_.emplace(b_, "router", d.hidden, d.experts, false);
    return named<Mlp>(b_, "shared_expert", "shared_expert", d.ffn);
  }

  /// Llama4Router: scores, of all but the chosen experts zeros, and logits.
  std::array<Tensor, 2> route(const Tensor& hidden_states) const {
    Tensor logits = (*router_)(hidden_states);
    const Scope scope(b_.tape, "router");
    const auto [values, indices] = topk(logits, b_.dims.experts_per_token);
    Tensor scores = scatter_into(b_.tape.make(logits.shape(), logits.dtype(), "full_like"), indices, values);
    scores = to(sigmoid(to(scores, DType::kFloat32)), scores.dtype());
    return {std::move(scores), std::move(logits)};
  }

  /// Llama4TextExperts of rows of every expert.
  Tensor experts(const Tensor& rows) const {
    const Scope scope(b_.tape, "experts");
    const Tensor hidden_states = split_dim(rows, 0, b_.dims.experts, b_.dims.batch * b_.dims.seq);
    const Tensor gate_up = product(hidden_states, gate_up_proj_);
    const auto [gate, up] = split_in_two(gate_up, 2);
    Tensor next_states = product(mul(up, activate(b_.description.activation, gate)), down_proj_);
    return merge_dims(std::move(next_states), 0, 2);
  }

  /// torch.bmm, which autocast casts for.
  static Tensor product(Tensor rows, const Tensor& weight) {
    const Tensor held = std::move(rows);
    const Tensor right = to_low_precision(weight);
    const Tensor left = to_low_precision(held);
    return bmm(left, right);
  }

  const Builder& b_;
  Tensor gate_up_proj_, down_proj_;
  std::optional<Linear> router_;
  Mlp shared_expert_;
};

/// Llama4TextDecoderLayer: what attention gave lives as long as the layer.
struct Llama4Layer {
  Llama4Attention self_attn;
  Llama4Moe feed_forward;
  Llama4Norm input_layernorm;
  Llama4Norm post_attention_layernorm;

  explicit Llama4Layer(const Builder& b)
      : self_attn(named<Llama4Attention>(b, "self_attn")),
        feed_forward(named<Llama4Moe>(b, "feed_forward")),
        input_layernorm(b, "input_layernorm", b.dims.hidden),
        post_attention_layernorm(b, "post_attention_layernorm", b.dims.hidden) {}

  Tensor operator()(const Tensor& input, const Rotation& rotation, const Tensor& mask) const {
    Tensor hidden_states = input_layernorm(input);
    AttentionOutput attention = self_attn(hidden_states, rotation, mask);
    hidden_states = add(input, attention.output);
    const Tensor residual = hidden_states;
    hidden_states = post_attention_layernorm(hidden_states);
    auto [rows, logits] = feed_forward(hidden_states);
    attention.weights = std::move(logits);  // of one name
    hidden_states = rows;
    rows.reset();
    const KeptShape& sizes = residual.shape();
    hidden_states = add(residual, split_dim(hidden_states, 0, sizes[0], sizes[1]));
    return hidden_states;
  }
};

/// Layers without chunks turn nothing.
struct Llama4Rotary : ComplexRotary {
  using ComplexRotary::ComplexRotary;
  Rotations operator()(const Tensor& hidden_states, const Tensor& position_ids) const {
    Rotations rotations = ComplexRotary::operator()(hidden_states, position_ids);
    rotations.full.turns = false;
    return rotations;
  }
};

struct Llama4Parts : LlamaParts {
  using Rotary = Llama4Rotary;
  using Layer = Llama4Layer;
  using Norm = Llama4Norm;
};

/// no_rope_layers: 0 for a layer that turns nothing; by default every no_rope_layer_interval-th one.
void read_turned(Fields& fields, Description& d) {
  const int64_t interval = fields.size("no_rope_layer_interval", 4);
  alternate(d, interval);
  if (!fields.has("no_rope_layers")) return;
  const std::vector<Value>& kinds = fields.find("no_rope_layers")->items;
  if (kinds.empty()) return;
  bool is_usual = static_cast<int64_t>(kinds.size()) == d.layers;
  for (size_t i = 0; i < kinds.size(); ++i)
    is_usual = is_usual && (kinds[i].integer != 0) == ((static_cast<int64_t>(i) + 1) % interval != 0);
  if (!is_usual)
    fields.fail("no_rope_layers", "is modelled as every no_rope_layer_interval-th layer only", "leave it out");
}

Description read(Fields& fields) {
  Description d = read_decoder(fields, 202048, 5120, 8192, 131072);
  d.layers = fields.size("num_hidden_layers", 48);
  d.heads = fields.size("num_attention_heads", 40);
  d.kv_heads = read_kv_heads(fields, d.heads, 8);
  d.head_dim =
      fields.find("head_dim") != nullptr && !fields.has("head_dim") ? d.hidden / d.heads : fields.size("head_dim", 128);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.experts = fields.size("num_local_experts", 16);
  d.experts_per_token = fields.size("num_experts_per_tok", 1);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.norms_heads = fields.flag("use_qk_norm", true);
  d.tunes_temperature = fields.flag("attn_temperature_tuning", true);
  d.window = fields.size("attention_chunk_size", 8192);
  d.maps_masks = d.maps_windowed_masks = true;
  read_turned(fields, d);
  if (fields.size("interleave_moe_layer_step", 1) != 1 || fields.has("moe_layers"))
    fields.fail("interleave_moe_layer_step", "is modelled as 1 only: every layer has experts", "set it to 1");
  if (fields.has("layer_types"))
    fields.fail("layer_types", "is modelled as no_rope_layers has it only", "leave it out");
  fields.refuse_flag("output_router_logits", false, "keeps every layer's router logits");
  fields.ignore({"intermediate_size_mlp", "router_aux_loss_coef", "router_jitter_noise", "floor_scale", "attn_scale",
                 "for_llm_compressor", "cache_implementation"});
  return d;
}

constexpr std::array kTasks = {Task::kCausalLm, Task::kFeatureExtraction};

}  // namespace

const Family kLlama4 = {
    "llama4_text", "Llama 4 (text)",          "transformers 5.23, models/llama4", Task::kCausalLm, kTasks,
    read,          build_decoder<Llama4Parts>};

}  // namespace peakmem
