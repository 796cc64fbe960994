// Qwen3: LLaMA with a norm over each head of q and k (transformers 5.23, models/qwen3/modeling_qwen3.py).
#include "model/family.h"

namespace peakmem {
namespace {

Description read(Fields& fields) {
  Description d = read_rotary_decoder(fields, 151936, 4096, 22016, 32768);
  d.head_dim = fields.size("head_dim", 128);  // a size of its own, not derived
  d.head_dim_is_quotient = d.head_dim * d.heads == d.hidden;
  d.kv_heads = fields.has("num_key_value_heads") || fields.find("num_key_value_heads") == nullptr
                   ? fields.size("num_key_value_heads", 32)
                   : d.heads;
  d.qk_norm = true;
  d.qkv_bias = d.output_bias = fields.flag("attention_bias", false);
  read_qwen_windows(fields, d);
  fields.ignore({"mlp_bias"});
  return d;
}

}  // namespace

const Family kQwen3 = {"qwen3",
                       "Qwen3",
                       "transformers 5.23, models/qwen3",
                       Task::kCausalLm,
                       rotary_decoder_tasks(),
                       read,
                       build_rotary_decoder};

}  // namespace peakmem
