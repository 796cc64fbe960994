// Arcee's AFM: LLaMA with an MLP that has no gate and squares a ReLU; Nemotron besides: a LayerNorm whose weight is one
// more, and a part of each head turned (transformers 5.23, models/arcee/modeling_arcee.py and
// models/nemotron/modeling_nemotron.py).
#include "family/llama.h"

namespace peakmem {
namespace {

struct ArceeParts : LlamaParts {
  using Layer = PreNormLayer<SelfAttention, UngatedMlp>;
};

/// NemotronLayerNorm1P: under autocast it casts by itself, and autocast is off for the norm.
class LayerNorm1P {
 public:
  LayerNorm1P(const Builder& b, const char* name, Expr width) : name_(name) {
    const Scope scope(b.tape, name);
    weight_ = b.norm_parameter({width}, "weight");
    bias_ = b.norm_parameter({width}, "bias");
  }

  Tensor operator()(const Tensor& input) const {
    Tape& tape = weight_.tape();
    const Scope scope(tape, name_);
    Tensor weight = add_scalar(weight_);
    if (!tape.autocast.enabled) return layer_norm(input, weight, bias_);
    const DType low = tape.autocast.dtype;
    const Tensor x = to(input, low);
    const Tensor weight_cast = to(weight, low);
    const Tensor bias = to(bias_, low);
    weight.reset();
    tape.autocast.enabled = false;
    Tensor output = layer_norm(x, weight_cast, bias);
    tape.autocast.enabled = true;
    return output;
  }

 private:
  const char* name_;
  Tensor weight_;
  Tensor bias_;
};

/// NemotronAttention.
struct NemotronAttention : SelfAttention {
  using SelfAttention::SelfAttention;

  AttentionOutput operator()(const Tensor& hidden_states, const Rotation& rotation, const Tensor& mask) const {
    const Scope scope(b.tape, "self_attn");
    const Dims& d = b.dims;
    Tensor query = as_heads(q_proj(hidden_states), d.heads, d.head_dim);
    Tensor key = as_heads(k_proj(hidden_states), d.kv_heads, d.head_dim);
    Tensor value = as_heads(v_proj(hidden_states), d.kv_heads, d.head_dim);
    apply_partial_rotary(b, query, key, rotation, Joined::kTogether);
    return finish(std::move(query), std::move(key), std::move(value), mask);
  }
};

struct NemotronParts : LlamaParts {
  using Layer = PreNormLayer<NemotronAttention, UngatedMlp, LayerNorm1P>;
  using Norm = LayerNorm1P;
};

void read_biases(Fields& fields, Description& d) {
  d.kv_heads = fields.optional_size("num_key_value_heads").value_or(d.heads);
  d.activation = read_activation(fields, "hidden_act", "relu2");
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  d.mlp_bias = fields.flag("mlp_bias", false);
}

Description read_arcee(Fields& fields) {
  Description d = read_decoder(fields, 32000, 2560, 18432, 4096);
  read_biases(fields, d);
  check_head_quotient(fields, d);
  return d;
}

Description read_nemotron(Fields& fields) {
  Description d = read_decoder(fields, 256000, 6144, 24576, 4096);
  d.heads = fields.size("num_attention_heads", 48);
  d.head_dim = fields.optional_size("head_dim").value_or(d.hidden / d.heads);
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  read_biases(fields, d);
  d.rotary = read_rotary(fields, d.head_dim, 0.5);
  fields.ignore({"norm_eps", "rope_percent", "rope_percentage"});
  return d;
}

}  // namespace

const Family kArcee = {"arcee",
                       "AFM",
                       "transformers 5.23, models/arcee",
                       Task::kCausalLm,
                       decoder_tasks(DecoderHeads::kAnswers),
                       read_arcee,
                       build_decoder<ArceeParts>};
const Family kNemotron = {"nemotron",
                          "Nemotron and Minitron",
                          "transformers 5.23, models/nemotron",
                          Task::kCausalLm,
                          decoder_tasks(DecoderHeads::kAnswers),
                          read_nemotron,
                          build_decoder<NemotronParts>};

}  // namespace peakmem
