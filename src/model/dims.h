// The sizes of a description as a trace uses them.
#pragma once

#include "model/description.h"

namespace peakmem {

inline constexpr int64_t kFlashRows = 128;  // seqlen_q_rounded of flash-attn's flash_api.cpp

/// A model's sizes as numbers, of so many sequences that are so long; nothing of a decoder's targets, adapters or
/// losses.
Dims sizes_of(const Description& description, Expr batch, int64_t seq);

/// A head's width as flash-attn's backward rounds it up: head_size_rounded of flash_api.cpp.
Expr flash_columns(const Description& description, Expr padded_head_dim);
/// The same of PyTorch's own flash kernel.
Expr sdpa_columns(const Description& description, Expr padded_head_dim);

constexpr int64_t round_up_8(int64_t n) { return (n + 7) / 8 * 8; }
constexpr int64_t round_up_16(int64_t n) { return (n + 15) / 16 * 16; }

}  // namespace peakmem
