// DeepSeek-V2 and V3: keys and values come from a narrow projection, all heads share the part of the keys that
// positions turn, and behind the first, dense layers are mixtures of experts, some of which see every token
// (transformers 5.23, models/deepseek_v2/modeling_deepseek_v2.py and models/deepseek_v3/modeling_deepseek_v3.py).
#include <optional>

#include "family/llama.h"
#include "model/cache.h"
#include "model/complex_rotary.h"
#include "model/experts.h"
#include "trace/complex.h"
#include "trace/gather.h"
#include "trace/masked_fill.h"
#include "trace/sinks.h"

namespace peakmem {
namespace {

/// DeepseekV2Attention and DeepseekV3Attention; what turns the last features of queries and keys is the family's.
template <class Turn>
struct LatentAttention {
  const Builder& b;
  std::optional<Linear> q_proj, q_a_proj;
  std::optional<RmsNorm> q_a_layernorm;
  std::optional<Linear> q_b_proj;
  Linear kv_a_proj_with_mqa;
  RmsNorm kv_a_layernorm;
  Linear kv_b_proj, o_proj;

  explicit LatentAttention(const Builder& builder)
      : b(builder),
        q_proj(b.description.query_latents > 0 ? std::nullopt : std::optional(of_queries("q_proj", b.dims.hidden))),
        q_a_proj(b.description.query_latents > 0
                     ? std::optional<Linear>(std::in_place, b, "q_a_proj", b.dims.hidden, b.dims.query_latents,
                                             b.description.output_bias)
                     : std::nullopt),
        q_a_layernorm(q_a_proj ? std::optional<RmsNorm>(std::in_place, b, "q_a_layernorm", b.dims.query_latents)
                               : std::nullopt),
        q_b_proj(q_a_proj ? std::optional(of_queries("q_b_proj", b.dims.query_latents)) : std::nullopt),
        kv_a_proj_with_mqa(b, "kv_a_proj_with_mqa", b.dims.hidden, b.dims.value_latents + b.dims.rotary,
                           b.description.output_bias),
        kv_a_layernorm(b, "kv_a_layernorm", b.dims.value_latents),
        kv_b_proj(b, "kv_b_proj", b.dims.value_latents, b.dims.heads * (rest() + b.dims.value_dim), false),
        o_proj(b, "o_proj", b.dims.heads * b.dims.value_dim, b.dims.hidden, b.description.output_bias) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    const Tensor q_states = as_heads(queries(hidden_states), d.heads, d.head_dim);
    auto [q_pass, q_rot] = split_in_two(q_states, 3, rest());
    const Tensor compressed_kv = kv_a_proj_with_mqa(hidden_states);
    auto [kv_nope, k_rot] = split_in_two(compressed_kv, 2, d.value_latents);
    kv_nope = kv_a_layernorm(kv_nope);
    kv_nope = unsqueeze(std::move(kv_nope), 1);
    k_rot = unsqueeze(std::move(k_rot), 1);
    Turn()(b, q_rot, k_rot, rotation);
    update_cache(b, kv_nope, k_rot);
    const Tensor query_states = cat(q_pass, q_rot, -1);
    const auto [key_states, value_states] = expand_kv(kv_nope, k_rot);
    AttentionOutput attention =
        attend(query_states, key_states, value_states, {b, 1, mask, true, SoftmaxDtype::kFullPrecision, true});
    attention.output = from_heads(attention.output);
    attention.output = o_proj(attention.output);
    return attention;
  }

 private:
  /// Features of a head that are not turned.
  Expr rest() const { return b.dims.head_dim - b.dims.rotary; }

  Linear of_queries(const char* name, Expr in) const { return {b, name, in, b.dims.heads * b.dims.head_dim, false}; }

  Tensor queries(const Tensor& hidden_states) const {
    if (q_proj) return (*q_proj)(hidden_states);
    return (*q_b_proj)((*q_a_layernorm)((*q_a_proj)(hidden_states)));
  }

  /// Keys and values of every head from what they are narrowed to: the keys are put together in a new tensor.
  std::array<Tensor, 2> expand_kv(const Tensor& narrow, const Tensor& shared) const {
    const Dims& d = b.dims;
    Tensor wide = merge_dims(kv_b_proj(narrow), 1, 2);
    const Tensor kv_nope = as_heads(std::move(wide), d.heads, rest() + d.value_dim);
    auto [k_nope, value_states] = split_in_two(kv_nope, 3, rest());
    const Tensor k_rot = expand(shared, {d.batch, d.heads, d.seq, d.rotary});
    Tensor key_states = b.tape.make({d.batch, d.heads, d.seq, d.head_dim}, kv_nope.dtype(), "new_empty");
    key_states = copy_into(std::move(key_states), k_nope);
    key_states = copy_into(std::move(key_states), k_rot);
    return {std::move(key_states), std::move(value_states)};
  }
};

/// apply_rotary_emb of DeepSeek-V2.
struct TurnComplex {
  void operator()(const Builder& b, Tensor& q, Tensor& k, const Rotation& rotation) const {
    const Scope scope(b.tape, "rotary");
    const Tensor q_pairs = in_complex_pairs(q);
    const Tensor k_pairs = in_complex_pairs(k);
    const Tensor freqs_cis = unsqueeze(rotation.cos, 1);
    Tensor q_out = to(view_as_real(mul_complex(q_pairs, freqs_cis)), q.dtype());
    k = to(view_as_real(mul_complex(k_pairs, freqs_cis)), k.dtype());
    q = std::move(q_out);
  }
};

/// apply_rotary_pos_emb_interleave, or apply_rotary_pos_emb of DeepSeek-V3.
struct TurnShared {
  void operator()(const Builder& b, Tensor& q, Tensor& k, const Rotation& rotation) const {
    if (!b.description.turns_neighbours) return apply_rotary(b, q, k, rotation);
    const Scope scope(b.tape, "rotary");
    const Expr half = exact_div(b.dims.rotary, 2);
    const Tensor cos = unsqueeze(slice(rotation.cos, -1, half), 1);
    const Tensor sin = unsqueeze(slice(rotation.sin, -1, half), 1);
    Tensor q_embed = turned(q, cos, sin);
    k = turned(k, cos, sin);
    q = std::move(q_embed);
  }

 private:
  static Tensor turned(const Tensor& x, const Tensor& cos, const Tensor& sin) {
    const Tensor first = every_second(x);
    const Tensor second = every_second(x);
    Tensor straight = mul(first, cos);
    Tensor crossed = mul(second, sin);
    const Tensor left = sub(std::move(straight), std::move(crossed));
    straight = mul(second, cos);
    crossed = mul(first, sin);
    const Tensor right = add(std::move(straight), std::move(crossed));
    return cat(left, right, -1);
  }
};

/// DeepseekV2Moe and DeepseekV3MoE: the router is the family's.
template <class Router>
class SharedExpertsMoe : public SparseMoe {
 public:
  explicit SharedExpertsMoe(const Builder& builder)
      : SparseMoe(builder, First::kExperts),
        b_(builder),
        correction_(Router::make_correction(builder)),
        shared_experts_(named<Mlp>(b_, "shared_experts", "shared_experts", b_.dims.shared_ffn)) {}

  Tensor operator()(const Tensor& residuals) const {
    const Scope scope(b_.tape, "mlp");
    const Routing routing = routed(residuals);
    Tensor hidden_states = merge_dims(residuals, 0, 2);
    hidden_states = experts(hidden_states, routing);
    hidden_states = split_dim(std::move(hidden_states), 0, b_.dims.batch, b_.dims.seq);
    Tensor shared = shared_experts_(residuals);
    return add(std::move(hidden_states), std::move(shared));
  }

 private:
  /// Router and weight in fp32.
  Routing routed(const Tensor& input) const {
    const Scope scope(b_.tape, "gate");
    const Tensor hidden_states = merge_dims(input, 0, 2);
    const Tensor logits = full_router_logits(hidden_states);
    auto [weights, indices] = Router::choose(b_, logits, correction_);
    weights = mul_scalar(weights);
    return {logits, weights, indices};
  }

  const Builder& b_;
  Tensor correction_;
  Mlp shared_experts_;
};

/// Ones where a token's groups of experts are: [tokens, groups] as [tokens, experts].
Tensor mask_of_groups(const Builder& b, const Tensor& group_scores) {
  Tape& tape = b.tape;
  const Expr tokens = group_scores.size(0);
  const Tensor group_idx = topk(group_scores, b.dims.groups_per_token)[1];
  const Tensor group_mask = tape.make({tokens, b.dims.expert_groups}, group_scores.dtype(), "zeros_like");
  return tape.make({tokens, b.dims.experts}, group_scores.dtype(), "clone");
}

/// scores.masked_fill(~score_mask.bool(), ...)
Tensor without_others(const Tensor& scores, const Tensor& score_mask) {
  Tape& tape = scores.tape();
  Tensor chosen = tape.make(score_mask.shape(), DType::kBool, "_to_copy");
  const Tensor others = tape.make(score_mask.shape(), DType::kBool, "bitwise_not");
  chosen.reset();
  return masked_fill(scores, others);
}

/// DeepseekV2TopkRouter.
struct SoftmaxRouter {
  static Tensor make_correction(const Builder& /*b*/) { return {}; }

  static std::array<Tensor, 2> choose(const Builder& b, const Tensor& logits, const Tensor& /*correction*/) {
    const DType full = DType::kFloat32;
    Tensor scores = softmax(logits, &full);
    if (b.description.expert_groups == 0) return topk(scores, b.dims.experts_per_token);
    const Dims& d = b.dims;
    const Tensor group_scores =
        merge_dims(max_last(split_dim(scores, 1, d.expert_groups, exact_div(d.experts, d.expert_groups))), 1, 2);
    const Tensor score_mask = mask_of_groups(b, group_scores);
    scores = without_others(scores, score_mask);
    return topk(scores, d.experts_per_token);
  }
};

/// DeepseekV3TopkRouter.
struct SigmoidRouter {
  static Tensor make_correction(const Builder& b) {
    const Scope scope(b.tape, "gate");
    return b.tape.buffer({b.dims.experts}, DType::kFloat32, "e_score_correction_bias");
  }

  static std::array<Tensor, 2> choose(const Builder& b, const Tensor& logits, const Tensor& correction) {
    const Dims& d = b.dims;
    const Tensor scores = sigmoid(logits);
    Tensor scores_for_choice = add(scores, correction);
    const Tensor group_scores =
        sum_dim(topk(split_dim(scores_for_choice, 1, d.expert_groups, exact_div(d.experts, d.expert_groups)), 2)[0], 2);
    const Tensor score_mask = mask_of_groups(b, group_scores);
    scores_for_choice = without_others(scores_for_choice, score_mask);
    Tensor indices = topk(scores_for_choice, d.experts_per_token)[1];
    Tensor weights = gather_last(scores, indices);
    if (!b.description.normalizes_routing) return {std::move(weights), std::move(indices)};
    const Tensor denominator = add_scalar(sum_last(weights));
    weights = divide_in_place(std::move(weights), denominator);
    return {std::move(weights), std::move(indices)};
  }
};

/// A dense MLP in the first layers, the mixture in the others.
template <class Mixture>
class DenseOrMixture {
 public:
  DenseOrMixture(const Builder& b, bool dense) {
    if (dense)
      dense_.emplace(b, "mlp", b.dims.dense_ffn);
    else
      mixture_.emplace(b);
  }
  Tensor operator()(const Tensor& input) const { return dense_ ? (*dense_)(input) : (*mixture_)(input); }

 private:
  std::optional<Mlp> dense_;
  std::optional<Mixture> mixture_;
};

struct DeepseekV2Parts : LlamaParts {
  using Rotary = ComplexRotary;
  using Layer = PreNormLayer<LatentAttention<TurnComplex>, DenseOrMixture<SharedExpertsMoe<SoftmaxRouter>>>;
};

struct DeepseekV3Parts : LlamaParts {
  using Layer = PreNormLayer<LatentAttention<TurnShared>, DenseOrMixture<SharedExpertsMoe<SigmoidRouter>>>;
};

/// Sizes by default, which differ between the two.
struct Defaults {
  int64_t vocab, hidden, ffn, positions, layers, heads, expert_ffn, shared, experts, dense;
};

void read_latents(Fields& fields, Description& d) {
  const bool narrow = fields.find("q_lora_rank") == nullptr || fields.has("q_lora_rank");
  if (narrow) d.query_latents = fields.size("q_lora_rank", 1536);
  d.value_latents = fields.size("kv_lora_rank", 512);
  d.rotary = fields.size("qk_rope_head_dim", 64);
  d.value_dim = fields.size("v_head_dim", 128);
  d.head_dim = fields.size("qk_nope_head_dim", 128) + d.rotary;
  d.head_dim_is_quotient = false;
  fields.ignore({"head_dim", "qk_head_dim"});
  if (d.rotary % 2 != 0)
    fields.fail("qk_rope_head_dim", "is " + std::to_string(d.rotary) + ", the rotary embedding needs an even one");
  if (const int64_t kv_heads = read_kv_heads(fields, d.heads, d.heads); kv_heads != d.heads)
    fields.fail("num_key_value_heads",
                "is " + std::to_string(kv_heads) + " of " + std::to_string(d.heads) +
                    " heads: keys and values are made for every head, and repeated besides",
                "set it to num_attention_heads");
  d.kv_heads = d.heads;
}

/// The first layers are dense.
void read_dense_layers(Fields& fields, Description& d, int64_t otherwise) {
  const Value* count = fields.find("first_k_dense_replace");
  const int64_t dense = std::clamp<int64_t>(count == nullptr ? otherwise : count->integer, 0, d.layers);
  if (count != nullptr && count->kind != Value::Kind::kInteger)
    fields.fail("first_k_dense_replace", "must be a whole number");
  if (dense > 0) d.runs.push_back({dense, true});
  if (dense < d.layers) d.runs.push_back({d.layers - dense, false});
}

void read_groups(Fields& fields, Description& d, int64_t groups, int64_t per_token) {
  d.expert_groups = fields.size("n_group", groups);
  d.groups_per_token = fields.size("topk_group", per_token);
  if (d.experts % d.expert_groups != 0)
    fields.fail("n_group",
                std::to_string(d.expert_groups) + " groups do not divide " + std::to_string(d.experts) + " experts");
  if (d.groups_per_token > d.expert_groups)
    fields.fail("topk_group",
                "is " + std::to_string(d.groups_per_token) + " of " + std::to_string(d.expert_groups) + " groups");
}

Description read_common(Fields& fields, const Defaults& otherwise) {
  Description d = read_decoder(fields, otherwise.vocab, otherwise.hidden, otherwise.ffn, otherwise.positions);
  d.layers = fields.size("num_hidden_layers", otherwise.layers);
  d.heads = fields.size("num_attention_heads", otherwise.heads);
  read_latents(fields, d);
  d.dense_ffn = d.ffn;
  d.ffn = fields.size("moe_intermediate_size", otherwise.expert_ffn);
  d.experts = fields.size("n_routed_experts", otherwise.experts);
  d.shared_ffn = d.ffn * fields.size("n_shared_experts", otherwise.shared);
  d.output_bias = fields.flag("attention_bias", false);
  read_dense_layers(fields, d, otherwise.dense);
  fields.refuse_flag("output_router_logits", false, "keeps every layer's router logits");
  fields.ignore({"pretraining_tp", "routed_scaling_factor", "moe_layer_freq", "ep_size", "aux_loss_alpha", "seq_aux",
                 "scoring_func", "num_nextn_predict_layers", "num_mtp_layers"});
  return d;
}

Description read_v2(Fields& fields) {
  Description d = read_common(fields, {102400, 4096, 11008, 2048, 32, 32, 1407, 2, 64, 0});
  d.experts_per_token = fields.size("num_experts_per_tok", 1);
  d.mlp_bias = fields.flag("mlp_bias", false);
  const std::string method = fields.text("topk_method", "greedy");
  fields.ignore({"norm_topk_prob"});
  if (method == "greedy") {
    fields.ignore({"n_group", "topk_group"});
    return d;
  }
  if (method != "group_limited_greedy")
    fields.fail("topk_method", "\"" + method.substr(0, 40) + "\" is not modelled",
                "known: greedy, group_limited_greedy");
  read_groups(fields, d, 1, 1);
  return d;
}

Description read_v3(Fields& fields) {
  Description d = read_common(fields, {129280, 7168, 18432, 4096, 61, 128, 2048, 1, 256, 3});
  d.experts_per_token = fields.size("num_experts_per_tok", 8);
  d.normalizes_routing = fields.flag("norm_topk_prob", true);
  d.turns_neighbours = fields.flag("rope_interleave", true);
  read_groups(fields, d, 8, 4);
  fields.ignore({"topk_method"});  // not read by the model
  return d;
}

constexpr SizeNames kSizes = {"num_hidden_layers", "num_attention_heads", "hidden_size", "moe_intermediate_size"};

}  // namespace

const Family kDeepseekV2 = {"deepseek_v2",
                            "DeepSeek-V2",
                            "transformers 5.23, models/deepseek_v2",
                            Task::kCausalLm,
                            decoder_tasks(DecoderHeads::kSequences),
                            read_v2,
                            build_decoder<DeepseekV2Parts>,
                            &kSizes};
const Family kDeepseekV3 = {"deepseek_v3",
                            "DeepSeek-V3",
                            "transformers 5.23, models/deepseek_v3",
                            Task::kCausalLm,
                            decoder_tasks(DecoderHeads::kTokens),
                            read_v3,
                            build_decoder<DeepseekV3Parts>,
                            &kSizes};

}  // namespace peakmem
