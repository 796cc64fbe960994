// cuBLAS's handles: each has a workspace of its own, which stays.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "trace/program.h"

namespace peakmem {

/// The threads of a step that may have a handle, by the phase each runs: the forward pass's and autograd's
/// (CublasHandlePool.cpp, torch 2.13).
constexpr std::array<std::string_view, 2> kCublasThreads = {"forward", "backward"};

/// Ops that ask cuBLAS for their product.
bool is_matrix_product(std::string_view op);

/// How many of the threads ask for a product: where only biases behind the last product are trained, autograd's does
/// not.
int32_t cublas_handles(const Program& program);

}  // namespace peakmem
