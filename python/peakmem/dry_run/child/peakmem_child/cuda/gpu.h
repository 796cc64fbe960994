// The GPU that the stand-in claims to be.
#pragma once

#include <cstddef>
#include <string>

namespace stand_in {

/// What PyTorch's host code asks about a GPU and what changes what it allocates.
struct Gpu {
  std::string title;
  int capability;       // 80 for sm_80
  int multiprocessors;  // sums' buffers, layer norm's grids, CUB's sizes
  size_t memory;        // bytes
  int count;            // of them in this machine
  size_t context = 0;   // bytes that a process's CUDA context takes; past the rest cudaMalloc fails

  size_t for_segments() const { return memory - context; }
};

/// As PEAKMEM_GPU says: "title;capability;multiprocessors;bytes;count", and ";context" where it is to count.
const Gpu& gpu();

/// For which capability the kernels are that run on it.
int code();

/// By the number that cudaDeviceAttr and CUdevice_attribute share; 0 for what nobody asked yet.
int attribute(int which);

}  // namespace stand_in
