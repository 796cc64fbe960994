// What each front has of its own, put in the words of transformers' stack before its rules are asked.
#pragma once

#include <string>

#include "launch/understanding.h"

namespace peakmem {

void prepare_trl(Understanding& u);
void prepare_axolotl(Understanding& u);
void prepare_llamafactory(Understanding& u);
void prepare_swift(Understanding& u);
void prepare_unsloth(Understanding& u);

/// A tool with a stack of its own, which its files say in the place of transformers': what names its model, null where
/// its sizes describe it, and what its settings come to.
struct OwnStack {
  std::string_view tool;
  void (*name_model)(Settings& settings);
  void (*understand)(Understanding& u);
};
/// The tool's, or null.
const OwnStack* own_stack(std::string_view tool);
void name_torchtitan(Settings& s);
void understand_torchtitan(Understanding& u);
void understand_megatron(Understanding& u);

Value size_value(int64_t size);
Value flag_value(bool flag);
/// Refuses a kind of training other than supervised fine-tuning, with what it needs.
void refuse_kind(Understanding& u, const std::string& kind);
/// One row of a micro-batch's tokens, as packing without padding has it: attention is over each sequence by itself, of
/// which flash attention keeps no more than of one.
void flatten_rows(Understanding& u);
/// What packing leaves in doubt where attention is no flash attention.
void doubt_packed_attention(Understanding& u);
bool is_flash(const Settings& s);
/// Weights in 4 or 8 bits by `quantization_bit` and its method, of which bitsandbytes' is modelled.
void take_quantization_bit(Understanding& u);

}  // namespace peakmem
