#include "family/llama.h"

#include <utility>

#include "model/cache.h"

namespace peakmem {

SelfAttention::SelfAttention(const Builder& builder)
    : b(builder),
      q_proj(b, "q_proj", b.dims.hidden, b.dims.heads * b.dims.head_dim, b.description.qkv_bias),
      k_proj(b, "k_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, b.description.qkv_bias),
      v_proj(b, "v_proj", b.dims.hidden, b.dims.kv_heads * b.dims.head_dim, b.description.qkv_bias),
      o_proj(b, "o_proj", b.dims.heads * b.dims.head_dim, b.dims.hidden, b.description.output_bias) {}

AttentionOutput SelfAttention::operator()(const Tensor& hidden_states, const Rotation& rotation,
                                          const Tensor& mask) const {
  const Scope scope(b.tape, "self_attn");
  const Dims& d = b.dims;
  Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
  Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
  Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
  apply_rotary(b, query, key, rotation);
  return finish(std::move(query), std::move(key), std::move(value), mask);
}

namespace {

/// The flash attention classes of transformers 4.45 cast by rebinding their own names; later code keeps its caller's.
bool rebinds_casts(const Structure& structure) {
  return structure.transformers == Transformers::kV445 && structure.attention == Attention::kFlash2;
}

}  // namespace

AttentionOutput SelfAttention::finish(Tensor query, Tensor key, Tensor value, const Tensor& mask) const {
  update_cache(b, key, value);
  if (rebinds_casts(b.structure) && query.dtype() == DType::kFloat32)
    for (Tensor* states : {&query, &key, &value}) *states = to(std::move(*states), b.structure.compute);
  AttentionOutput attention = attend_causally(b, query, key, value, mask);
  attention.output = o_proj(attention.output);
  return attention;
}

AttentionOutput attend_in_groups(const Builder& b, const Tensor& query, const Tensor& key, const Tensor& value,
                                 const Tensor& mask) {
  const Expr groups = b.structure.grouped ? exact_div(b.dims.heads, b.dims.kv_heads) : Expr(1);
  return attend(query, key, value, {b, groups, mask, true, SoftmaxDtype::kFullPrecision, true});
}

AttentionOutput attend_causally(const Builder& b, const Tensor& query, const Tensor& key, const Tensor& value,
                                const Tensor& mask) {
  AttentionOutput attention = attend_in_groups(b, query, key, value, mask);
  attention.output = from_heads(attention.output);
  return attention;
}

Mlp::Mlp(const Builder& builder, const char* its_name, Expr width)
    : b(builder),
      name(its_name),
      gate_proj(b, "gate_proj", b.dims.hidden, width, b.description.mlp_bias),
      up_proj(b, "up_proj", b.dims.hidden, width, b.description.mlp_bias),
      down_proj(b, "down_proj", width, b.dims.hidden, b.description.mlp_bias) {}

Tensor Mlp::operator()(const Tensor& x) const {
  const Scope scope(b.tape, name);
  if (b.structure.kernels.mlp == Kernel::kFused) {
    Tensor gate = gate_proj(x);
    const Tensor product = liger_gated(b.description.activation == Activation::kSilu, std::move(gate), up_proj(x));
    return down_proj(product);
  }
  Tensor gated = activate(b.description.activation, gate_proj(x));
  Tensor up = up_proj(x);
  Tensor product = mul(std::move(gated), std::move(up));
  return down_proj(product);
}

FusedMlp::FusedMlp(const Builder& builder)
    : b(builder),
      gate_up_proj(b, "gate_up_proj", b.dims.hidden, 2 * b.dims.ffn, false),
      down_proj(b, "down_proj", b.dims.ffn, b.dims.hidden, false) {}

Tensor FusedMlp::operator()(const Tensor& hidden_states) const {
  const Scope scope(b.tape, "mlp");
  auto [gate, up_states] = split_in_two(gate_up_proj(hidden_states), 2);
  if (b.structure.kernels.mlp == Kernel::kFused) {
    const Tensor product = liger_gated(true, gate, up_states);
    return down_proj(product);
  }
  up_states = mul(up_states, activate(b.description.activation, gate));
  return down_proj(up_states);
}

UngatedMlp::UngatedMlp(const Builder& builder)
    : b(builder),
      up_proj(b, "up_proj", b.dims.hidden, b.dims.ffn, b.description.mlp_bias),
      down_proj(b, "down_proj", b.dims.ffn, b.dims.hidden, b.description.mlp_bias) {}

Tensor UngatedMlp::operator()(const Tensor& x) const {
  const Scope scope(b.tape, "mlp");
  const Tensor hidden_states = activate(b.description.activation, up_proj(x));
  return down_proj(hidden_states);
}

namespace {

Description read(Fields& fields) {
  Description d = read_decoder(fields, 32000, 4096, 11008, 2048);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
  fields.ignore({"pretraining_tp", "rope_interleaved", "is_llama_config"});  // not read by the model
  check_head_quotient(fields, d);
  return d;
}

}  // namespace

const Family kLlama = {"llama",
                       "LLaMA",
                       "transformers 5.23, models/llama",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kAnswers),
                       read,
                       build_decoder<LlamaParts>};

}  // namespace peakmem
