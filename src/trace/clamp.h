// Clamping: to the largest numbers of fp16, as T5 and Whisper do, or in place, as OLMo does.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// "clamp inf values to enable fp16 training" (transformers 5.23, models/t5/modeling_t5.py): hidden states in fp16 are
/// clamped to a number that is made for it; others are left as they are. `clamp_value` is the caller's name.
void clamp_half(Tensor& hidden_states, Tensor& clamp_value);

/// torch.clamp(self, min=-x, max=x), of two numbers.
Tensor clamp(Tensor self);

/// self.clamp_(min=-x, max=x): autograd keeps a copy of what was there.
Tensor clamp_in_place(Tensor self);

}  // namespace peakmem
