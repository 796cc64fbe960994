// What an encoder-decoder's decoder has otherwise than its encoder: its sequence is the target.
#pragma once

#include "model/modules.h"

namespace peakmem {

/// The decoder's sizes.
Dims target_dims(const Dims& dims);
/// What decides its ops; no batch has a mask of its targets.
Structure target_structure(Structure structure);
/// shift_tokens_right, _shift_right: the decoder's input, made of the labels.
Tensor shift_right(const Tensor& labels);

}  // namespace peakmem
