// The GPUs that are known, and what a training process takes on them beside its tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "trace/processor.h"

namespace peakmem {

/// What a GPU computes, reads and sends in a second at most, as its maker states it, without sparsity; 0 where that is
/// not stated.
struct Rates {
  double fp32 = 0;             // floating-point operations, outside of tensor cores: how PyTorch multiplies fp32
  double tf32 = 0;             // in tensor cores, which PyTorch uses for fp32 where it is told to
  double bf16 = 0;             // in tensor cores
  double fp16 = 0;             // in tensor cores, summed in fp32
  double memory = 0;           // bytes read or written
  double link = 0;             // bytes sent to other cards, while as many are received
  double reached = 0;          // share of bf16's rate that one product of matrices was measured to reach at best
  std::string_view link_name;  // "NVLink 4"
  std::string_view source;
};

/// A GPU: its memory as CUDA reports it, and what was measured of a process's context on it, with kernels loaded lazily
/// (low), all at once (high), and at most in published runs, which may hold more than that. Bytes.
struct Gpu {
  std::string_view name;     // "a100-80gb"
  std::string_view title;    // "NVIDIA A100 80GB"
  std::string_view aliases;  // separated by spaces
  int64_t memory_bytes;
  int64_t context_low;
  int64_t context_high;
  int64_t context_most;
  int compute_capability;   // 80 for sm_80; 0 where there is none
  int multiprocessors;      // torch's multi_processor_count
  std::string_view source;  // of the memory and of the context
  Rates rates;
};

std::span<const Gpu> gpus();
/// By name, alias, or what torch and nvidia-smi call it ("NVIDIA A100-SXM4-80GB", "Tesla T4"), whatever the letters'
/// case; null if there is none.
const Gpu* find_gpu(std::string_view name);

/// What its context is likely to take: the middle of low and high.
int64_t likely_context(const Gpu& gpu);

/// What its kernels' own memory depends on.
Processor processor_of(const Gpu& gpu);

/// What PyTorch's cuBLAS handles take, one for the forward pass's thread and one for autograd's: in the caching
/// allocator, so part of what max_memory_allocated says. CUDABlas / CublasHandlePool.cpp of torch 2.13.
int64_t cublas_workspace_bytes(const Gpu* gpu);

}  // namespace peakmem
