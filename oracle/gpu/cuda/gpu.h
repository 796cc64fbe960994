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
  size_t memory;        // bytes; past them cudaMalloc fails, and the allocator's retries are real
  int count;            // of them in this machine
};

/// As PEAKMEM_GPU says: "title;capability;multiprocessors;bytes;count" (device.py writes it).
const Gpu& gpu();

/// For which capability the kernels are that run on it.
int code();

/// By the number that cudaDeviceAttr and CUdevice_attribute share; 0 for what nobody asked yet.
int attribute(int which);

}  // namespace stand_in
