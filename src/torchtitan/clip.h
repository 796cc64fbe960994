// torchtitan's clip_grad_norm_ (0.2.2, distributed/utils.py) over gradients that are DTensors.
#pragma once

#include <vector>

#include "trace/tape.h"

namespace peakmem::titan {

/// How gradients lie among ranks.
struct GradientLayout {
  int reductions = 0;            // dimensions of the mesh along which they are divided: a sum of norms' powers for each
  std::vector<bool> replicated;  // by parameter: whole on every tensor-parallel rank, where others are divided
  std::vector<bool> partial;     // by parameter: still a sum over ranks, which is taken first
};

/// The norm of all gradients, clipped in place; all names but the norm's go.
Tensor clip_grad_norm(Tape& tape, const GradientLayout& layout);

}  // namespace peakmem::titan
