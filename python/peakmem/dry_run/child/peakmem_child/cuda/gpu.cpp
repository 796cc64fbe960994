#include "gpu.h"

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

namespace stand_in {
namespace {

// CUDA C++ Programming Guide, "Technical specifications per compute capability": bytes of shared memory a
// multiprocessor has and a block may have, and threads a multiprocessor holds. Occupancy, and by it sums' buffers,
// depend on them. `code` is the kernels' in PyTorch's wheels (torch.cuda.get_arch_list()) that run there; CUB refuses
// to run without any.
struct Architecture {
  int capability, shared, shared_of_block, threads, code;
};
constexpr Architecture kArchitectures[] = {
    {60, 65536, 49152, 2048, 60},   {70, 98304, 98304, 2048, 70},     {75, 65536, 65536, 1024, 75},
    {80, 167936, 166912, 2048, 80}, {86, 102400, 101376, 1536, 86},   {89, 102400, 101376, 1536, 86},
    {90, 233472, 232448, 2048, 90}, {100, 233472, 232448, 2048, 100}, {120, 102400, 101376, 1536, 120},
};
// The CUDA 13 wheels have no code for Volta and Pascal: they get Turing's, where the CUDA 12 wheels have their own.
constexpr int kOldestCode = CUDA_VERSION >= 13000 ? 75 : 50;

[[noreturn]] void refuse(const std::string& what) {
  fprintf(stderr, "stand-in for CUDA: %s\n", what.c_str());
  exit(2);
}

const Architecture& architecture() {
  for (const Architecture& one : kArchitectures)
    if (one.capability == gpu().capability) return one;
  refuse("no compute capability " + std::to_string(gpu().capability) + " in cuda/gpu.cpp, kArchitectures");
}

Gpu read_gpu() {
  const char* text = getenv("PEAKMEM_GPU");
  if (text == nullptr) refuse("PEAKMEM_GPU is not set; peakmem dry-run sets it, and oracle/gpu/device.py");
  std::istringstream in(text);
  Gpu read;
  char separator;
  std::getline(in, read.title, ';');
  in >> read.capability >> separator >> read.multiprocessors >> separator >> read.memory >> separator >> read.count;
  if (in.good()) in >> separator >> read.context;  // there is more of it
  if (!in || read.context > read.memory)
    refuse(std::string("PEAKMEM_GPU should be title;capability;multiprocessors;bytes;count;context, not ") + text);
  return read;
}

std::map<int, int> make_attributes() {
  const Architecture& here = architecture();
  return {
      {cudaDevAttrMaxThreadsPerBlock, 1024},
      {cudaDevAttrMaxBlockDimX, 1024},
      {cudaDevAttrMaxBlockDimY, 1024},
      {cudaDevAttrMaxBlockDimZ, 64},
      {cudaDevAttrMaxGridDimX, INT_MAX},
      {cudaDevAttrMaxGridDimY, 65535},
      {cudaDevAttrMaxGridDimZ, 65535},
      {cudaDevAttrMaxSharedMemoryPerBlock, 49152},
      {cudaDevAttrTotalConstantMemory, 65536},
      {cudaDevAttrWarpSize, 32},
      {cudaDevAttrMaxPitch, INT_MAX},
      {cudaDevAttrMaxRegistersPerBlock, 65536},
      {cudaDevAttrMaxRegistersPerMultiprocessor, 65536},
      {cudaDevAttrTextureAlignment, 512},
      {cudaDevAttrTexturePitchAlignment, 32},
      {cudaDevAttrMultiProcessorCount, gpu().multiprocessors},
      {cudaDevAttrMaxThreadsPerMultiProcessor, here.threads},
      {cudaDevAttrMaxBlocksPerMultiprocessor, 32},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, here.shared},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, here.shared_of_block},
      {cudaDevAttrReservedSharedMemoryPerBlock, 1024},
      {cudaDevAttrL2CacheSize, 40 << 20},
      {cudaDevAttrComputeCapabilityMajor, gpu().capability / 10},
      {cudaDevAttrComputeCapabilityMinor, gpu().capability % 10},
      {cudaDevAttrUnifiedAddressing, 1},
      {cudaDevAttrManagedMemory, 1},
      {cudaDevAttrConcurrentManagedAccess, 1},
      {cudaDevAttrConcurrentKernels, 1},
      {cudaDevAttrCanMapHostMemory, 1},
      {cudaDevAttrAsyncEngineCount, 3},
      {cudaDevAttrStreamPrioritiesSupported, 1},
      {cudaDevAttrCooperativeLaunch, 1},
      {cudaDevAttrMemoryPoolsSupported, 1},
      {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},  // expandable segments ask for it
  };
}

Gpu& chosen() {
  static Gpu one = read_gpu();
  return one;
}

std::map<int, int>& attributes() {
  static std::map<int, int> values = make_attributes();
  return values;
}

}  // namespace

const Gpu& gpu() { return chosen(); }

int code() { return std::max(architecture().code, kOldestCode); }

int attribute(int which) {
  const auto found = attributes().find(which);
  return found == attributes().end() ? 0 : found->second;
}

}  // namespace stand_in

/// Look at PEAKMEM_GPU again, in a process that was forked from one that has asked already.
extern "C" __attribute__((visibility("default"))) void peakmem_choose() {
  stand_in::chosen() = stand_in::read_gpu();
  stand_in::attributes() = stand_in::make_attributes();
}
