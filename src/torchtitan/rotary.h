// Positions as torchtitan turns them: complex numbers (Llama 3) or cosines and sines (Qwen 3).
#pragma once

#include <array>

#include "torchtitan/job.h"
#include "trace/tape.h"

namespace peakmem::titan {

/// The table of a model's positions as to_empty leaves it: [seq, head_dim / 2] complex, or cosines and sines
/// [seq, 2 head_dim].
Tensor empty_positions(Tape& tape, const Job& job);
/// precompute_freqs_cis or precompute_rope_cache: the same anew, with what lives while it is made.
Tensor make_positions(Tape& tape, const Job& job);

/// apply_rotary_emb of queries [b, s, heads, d] and keys, which live as long as their caller names them.
std::array<Tensor, 2> apply_rotary_emb(const Tensor& xq, const Tensor& xk, const Tensor& positions);

}  // namespace peakmem::titan
