// What gpt-oss's attention sinks and experts need besides: a row's largest value, bounds, and products with weights
// that lie the other way round.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// x.max(dim=-1, keepdim=True).values
Tensor max_last(Tensor self);
/// x.clamp(min=None, max=number), or with two numbers where `both`: keeps what it is given, which may be a view.
Tensor clamp(Tensor self, bool both);
/// torch.nn.functional.grouped_mm(input [rows, in], weight [groups, in, out], offs=ends of the groups)
Tensor grouped_product(Tensor input, const Tensor& weight, const Tensor& ends);

}  // namespace peakmem
