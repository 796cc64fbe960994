// Ops of models that put images among the tokens of a text.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// self.masked_scatter(mask, source): mask may be broadcast; source's elements take the places where it is true.
Tensor masked_scatter(Tensor self, const Tensor& mask, const Tensor& source);
/// torch.cat(list(x), dim=0) of [N, T, C]: [N·T, C], copied.
Tensor join_rows(Tensor input);
/// x.norm(p=2, dim=-1, keepdim=True), which autocast sums in fp32 and reads as it is.
Tensor norm_last(Tensor self);
/// torch.nn.functional.avg_pool2d of [B, C, height, width] by windows that do not overlap: [B, C, rows, columns].
Tensor avg_pool2d(Tensor input, Expr rows, Expr columns);

/// torch.nn.functional.interpolate(mode="bilinear") to the sizes there are, of [places, channels].
Tensor upsample_bilinear(Tensor input);

}  // namespace peakmem
