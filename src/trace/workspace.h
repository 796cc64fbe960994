// What CUDA kernels allocate for themselves while they run: no tensor that PyTorch's dispatcher sees, but blocks of the
// caching allocator, and so part of what max_memory_allocated says.
#pragma once

#include "trace/tape.h"

namespace peakmem {

/// A kernel's memory of so many bytes, gone with its handle. No bytes are no allocation.
Tensor workspace(Tape& tape, Expr bytes, const char* made_by);

/// A product into memory that is there (`out=`): nothing is made, but a thread that has no cuBLAS handle yet gets one
/// now.
void run_product(Tape& tape);

/// The bytes of a tensor's elements, were it laid out without gaps.
Expr dense_bytes(const Tensor& tensor);

/// What a sum of `input` to `sizes` takes while it runs; its output is there already.
void run_reduction(const Tensor& input, const Shape& sizes);

}  // namespace peakmem
