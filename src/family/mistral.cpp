// Mistral: LLaMA with a window over the keys of all layers (transformers 5.23, models/mistral/modeling_mistral.py).
#include "family/llama.h"

namespace peakmem {
namespace {

Description read(Fields& fields) {
  Description d = read_decoder(fields, 32000, 4096, 14336, 131072);
  d.kv_heads = fields.size("num_key_value_heads", 8);
  const bool windowed = fields.find("sliding_window") == nullptr || fields.has("sliding_window");  // absent is 4096
  d.window = windowed ? fields.size("sliding_window", 4096) : 0;
  d.runs = {{d.layers, windowed}};
  fields.ignore({"attention_bias", "mlp_bias"});  // not read by the model: its linear layers have no bias
  return d;
}

}  // namespace

const Family kMistral = {"mistral",
                         "Mistral",
                         "transformers 5.23, models/mistral",
                         Task::kCausalLm,
                         decoder_tasks(DecoderHeads::kAnswers),
                         read,
                         build_decoder<LlamaParts>};

}  // namespace peakmem
