// Phi-3 and 4: LLaMA with query, key and value in one projection, gate and up in another, and dropout on the residuals
// (transformers 5.23, models/phi3/modeling_phi3.py).
#include "family/llama.h"
#include "model/cache.h"

namespace peakmem {
namespace {

/// Phi3Attention.
struct FusedAttention {
  const Builder& b;
  Linear o_proj, qkv_proj;

  explicit FusedAttention(const Builder& builder)
      : b(builder),
        o_proj(b, "o_proj", b.dims.heads * b.dims.head_dim, b.dims.hidden, false),
        qkv_proj(b, "qkv_proj", b.dims.hidden, (b.dims.heads + 2 * b.dims.kv_heads) * b.dims.head_dim, false) {}

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    const Tensor qkv = qkv_proj(hidden_states);
    const auto part = [&](Expr heads) { return slice(qkv, 2, heads * d.head_dim); };
    Tensor query = part(d.heads);
    Tensor key = part(d.kv_heads);
    Tensor value = part(d.kv_heads);
    query = as_heads(query, d.heads, d.head_dim);
    key = as_heads(key, d.kv_heads, d.head_dim);
    value = as_heads(value, d.kv_heads, d.head_dim);
    apply_partial_rotary(b, query, key, rotation, Joined::kEach);
    update_cache(b, key, value);
    AttentionOutput attention = attend_causally(b, query, key, value, mask);
    attention.output = o_proj(attention.output);
    return attention;
  }
};

struct Phi3Parts : LlamaParts {
  using Layer = PreNormLayer<FusedAttention, FusedMlp>;
};

Description read(Fields& fields) {
  Description d = read_decoder(fields, 32064, 3072, 8192, 4096);
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.hidden_dropout = fields.probability("resid_pdrop", 0.0);
  d.rotary = read_rotary(fields, d.head_dim, 1.0);
  for (const char* name : {"rope_parameters", "rope_scaling"})
    if (const Value* parameters = fields.find(name))
      for (const char* key : {"rope_type", "type"})
        if (const Value* type = parameters->find(key))
          d.long_rotary = d.long_rotary || type->string == "longrope" || type->string == "su" || type->string == "yarn";
  d.has_padding_token = true;
  if (fields.has("sliding_window")) d.window = fields.size("sliding_window", 4096);
  d.runs = {{d.layers, d.window > 0}};
  fields.ignore({"embd_pdrop", "original_max_position_embeddings", "attention_bias", "mlp_bias"});  // not read
  check_head_quotient(fields, d);
  return d;
}

}  // namespace

const Family kPhi3 = {"phi3",
                      "Phi-3 and Phi-4",
                      "transformers 5.23, models/phi3",
                      Task::kCausalLm,
                      decoder_tasks(DecoderHeads::kTokens),
                      read,
                      build_decoder<Phi3Parts>};

}  // namespace peakmem
