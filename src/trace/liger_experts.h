// Liger's fused mixture of experts.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// The experts that tokens are sent to, and with what weight: [tokens, experts per token].
struct ExpertChoice {
  Tensor indices;
  Tensor weights;
  int64_t per_token = 1;
};

/// LigerExperts.forward and LigerFusedMoEFunction (liger-kernel 0.8.5, transformers/swiglu.py and ops/fused_moe.py) of
/// rows [tokens, C]: keeps what the activation is made of, and makes the gradients of both weights even where these are
/// frozen. How many tiles of 64 rows there are is a matter of values: one, as the oracle's values say.
Tensor liger_experts(const Tensor& rows, const Tensor& gate_up_proj, const Tensor& down_proj,
                     const ExpertChoice& choice);

}  // namespace peakmem
