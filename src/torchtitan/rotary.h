// Positions as torchtitan turns them: complex numbers (Llama 3) or cosines and sines (Qwen 3).
#pragma once

#include <array>

#include "trace/tape.h"

namespace peakmem::titan {

/// precompute_freqs_cis: [seq, head_dim / 2] complex, with what lives while it is made.
Tensor rotary_table(Tape& tape, int64_t seq, int64_t head_dim);

/// apply_rotary_emb of queries [b, s, heads, d] and keys, which live as long as their caller names them.
std::array<Tensor, 2> apply_rotary_emb(const Tensor& xq, const Tensor& xk, const Tensor& freqs_cis);

}  // namespace peakmem::titan
