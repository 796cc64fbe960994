// The CUDA runtime (libcudart): what PyTorch's host code gets answers from. Kernels, streams and events do nothing and
// are over at once; what is not here returns 0 (stubs.py).
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "gpu.h"
#include "memory.h"

#define API extern "C" __attribute__((visibility("default")))

using namespace stand_in;

namespace {

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t give(void** out, void* memory) {
  *out = memory;
  return memory != nullptr ? cudaSuccess : last_error = cudaErrorMemoryAllocation;
}

// A handle that is like no other: streams are compared and are keys of the allocator's pools.
template <class Handle>
cudaError_t make(Handle* out) {
  static std::atomic<size_t> last{0x1000};
  *out = reinterpret_cast<Handle>(last += 16);
  return cudaSuccess;
}

}  // namespace

// Devices.
API cudaError_t cudaGetDeviceCount(int* n) { return *n = gpu().count, cudaSuccess; }
API cudaError_t cudaGetDevice(int* device) { return *device = current_device(), cudaSuccess; }
API cudaError_t cudaSetDevice(int device) { return current_device() = device, cudaSuccess; }
API cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
API cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  return *value = attribute(which), cudaSuccess;
}
API cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }
API cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return *least = 0, *greatest = -5, cudaSuccess;
}
API cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
  return snprintf(text, static_cast<size_t>(size), "0000:%02X:00.0", device + 1), cudaSuccess;
}
// In CUDA 12 a macro for cudaGetDeviceProperties_v2, the one of this layout.
API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  *p = {};
  snprintf(p->name, sizeof p->name, "%s", gpu().title.c_str());
  p->uuid.bytes[0] = static_cast<char>(device + 1);
  p->pciBusID = device + 1;
  p->totalGlobalMem = gpu().memory;
  p->major = gpu().capability / 10;
  p->minor = gpu().capability % 10;
  p->warpSize = 32;
  p->multiProcessorCount = gpu().multiprocessors;
  p->maxThreadsPerBlock = attribute(cudaDevAttrMaxThreadsPerBlock);
  std::copy_n(std::array{1024, 1024, 64}.begin(), 3, p->maxThreadsDim);
  std::copy_n(std::array{attribute(cudaDevAttrMaxGridDimX), 65535, 65535}.begin(), 3, p->maxGridSize);
  p->maxThreadsPerMultiProcessor = attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
  p->maxBlocksPerMultiProcessor = attribute(cudaDevAttrMaxBlocksPerMultiprocessor);
  p->regsPerBlock = p->regsPerMultiprocessor = attribute(cudaDevAttrMaxRegistersPerBlock);
  const auto shared = [](cudaDeviceAttr which) { return static_cast<size_t>(attribute(which)); };
  p->sharedMemPerBlock = shared(cudaDevAttrMaxSharedMemoryPerBlock);
  p->sharedMemPerBlockOptin = shared(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  p->sharedMemPerMultiprocessor = shared(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  p->reservedSharedMemPerBlock = shared(cudaDevAttrReservedSharedMemoryPerBlock);
  p->totalConstMem = shared(cudaDevAttrTotalConstantMemory);
  p->memPitch = shared(cudaDevAttrMaxPitch);
  p->textureAlignment = shared(cudaDevAttrTextureAlignment);
  p->texturePitchAlignment = shared(cudaDevAttrTexturePitchAlignment);
  p->l2CacheSize = attribute(cudaDevAttrL2CacheSize);
  p->unifiedAddressing = p->managedMemory = p->concurrentManagedAccess = p->concurrentKernels = p->canMapHostMemory = 1;
  p->cooperativeLaunch = p->memoryPoolsSupported = p->streamPrioritiesSupported = 1;
  return cudaSuccess;
}
API cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
API cudaError_t cudaPeekAtLastError() { return last_error; }

// Memory.
API cudaError_t cudaMalloc(void** out, size_t bytes) { return give(out, allocate(bytes)); }
API cudaError_t cudaMallocAsync(void** out, size_t bytes, cudaStream_t) { return give(out, allocate(bytes)); }
API cudaError_t cudaFreeAsync(void* address, cudaStream_t) { return release(address), cudaSuccess; }
API cudaError_t cudaFree(void* address) {
  if (on_device(address)) release(address);
  if (address != nullptr) release_host(address);  // managed memory is freed so, too
  return cudaSuccess;
}
API cudaError_t cudaMallocManaged(void** out, size_t bytes, unsigned) {
  return give(out, allocate_host(bytes, Kind::kManaged));
}
API cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned) {
  return give(out, allocate_host(bytes, Kind::kPinned));
}
API cudaError_t cudaMallocHost(void** out, size_t bytes) { return cudaHostAlloc(out, bytes, 0); }
API cudaError_t cudaFreeHost(void* address) { return release_host(address), cudaSuccess; }
API cudaError_t cudaHostGetDevicePointer(void** out, void* address, unsigned) { return give(out, address); }
API cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return *free = free_bytes(), *total = gpu().memory, cudaSuccess;
}
API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* address) {
  const Kind kind = kind_of(address);
  *a = {};
  a->type = static_cast<cudaMemoryType>(kind);
  a->device = kind == Kind::kUnknown ? -1 : current_device();
  if (kind == Kind::kDevice || kind == Kind::kManaged) a->devicePointer = const_cast<void*>(address);
  if (kind != Kind::kDevice) a->hostPointer = const_cast<void*>(address);
  return cudaSuccess;
}
API cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  return copy(to, from, bytes), cudaSuccess;
}
API cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return copy(to, from, bytes), cudaSuccess;
}
API cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                                  size_t height, cudaMemcpyKind, cudaStream_t) {
  for (size_t row = 0; row < height; ++row)
    copy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
  return cudaSuccess;
}
API cudaError_t cudaMemset(void* at, int value, size_t bytes) {
  if (on_device(at)) return forget(), cudaSuccess;
  return memset(at, value, bytes), cudaSuccess;
}
API cudaError_t cudaMemsetAsync(void* at, int value, size_t bytes, cudaStream_t) {
  return cudaMemset(at, value, bytes);
}
API cudaError_t cudaGetSymbolAddress(void** out, const void*) { return *out = device_variables(), cudaSuccess; }

// Streams and events.
API cudaError_t cudaStreamCreate(cudaStream_t* stream) { return make(stream); }
API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return make(stream); }
API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) { return make(stream); }
API cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) { return *priority = 0, cudaSuccess; }
API cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  return *status = cudaStreamCaptureStatusNone, cudaSuccess;
}
// What follows the first three arguments differs between versions, and is only written for a capture: there is none
// here.
#define CAPTURE_INFO(function, name)                                                                   \
  API cudaError_t function(cudaStream_t, cudaStreamCaptureStatus*, unsigned long long*) __asm__(name); \
  cudaError_t function(cudaStream_t, cudaStreamCaptureStatus* status, unsigned long long* id) {        \
    if (id != nullptr) *id = 0;                                                                        \
    return *status = cudaStreamCaptureStatusNone, cudaSuccess;                                         \
  }
CAPTURE_INFO(capture_info, "cudaStreamGetCaptureInfo")        // CUDA 13
CAPTURE_INFO(capture_info_v2, "cudaStreamGetCaptureInfo_v2")  // CUDA 11 and 12
API cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return *mode = cudaStreamCaptureModeGlobal, cudaSuccess;
}
API cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t call, void* data, unsigned) {
  return call(stream, cudaSuccess, data), cudaSuccess;
}
API cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t call, void* data) { return call(data), cudaSuccess; }
API cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) { return *ms = 1, cudaSuccess; }

// Kernels. nvcc writes `f<<<grid, block, shared, stream>>>()` as a push, a pop and a launch.
namespace {
struct Configuration {
  dim3 grid, block;
  size_t shared;
  CUstream_st* stream;
};
thread_local Configuration pushed;
}  // namespace
API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  return pushed = {grid, block, shared, stream}, 0;
}
API cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  *grid = pushed.grid, *block = pushed.block, *shared = pushed.shared;
  *static_cast<CUstream_st**>(stream) = pushed.stream;
  return cudaSuccess;
}
API void** __cudaRegisterFatBinary(void*) {
  static std::array<void*, 64> handle{};
  return handle.data();
}
API char __cudaInitModule(void**) { return 1; }
API cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
  return *kernel = static_cast<cudaKernel_t>(const_cast<void*>(function)), cudaSuccess;
}
API cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t) {
  return forget(), cudaSuccess;
}
API cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t) {
  return forget(), cudaSuccess;
}
API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void**) { return forget(), cudaSuccess; }

// CUB chooses its policy, and by it its storage, by the version that a kernel was compiled for. Registers are not read
// from the kernels' code: occupancy is what threads and shared memory leave.
API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) {
  *a = {};
  a->maxThreadsPerBlock = 1024;
  a->numRegs = 32;
  a->ptxVersion = a->binaryVersion = code();
  a->maxDynamicSharedSizeBytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return cudaSuccess;
}
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int threads,
                                                                       size_t shared, unsigned) {
  const size_t whole = static_cast<size_t>(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
  const size_t reserved = static_cast<size_t>(attribute(cudaDevAttrReservedSharedMemoryPerBlock));
  const int most = attribute(cudaDevAttrMaxBlocksPerMultiprocessor);
  const int by_shared = shared == 0 ? most : static_cast<int>(whole / (shared + reserved));
  const int by_threads = attribute(cudaDevAttrMaxThreadsPerMultiProcessor) / std::max(threads, 1);
  return *blocks = std::max(1, std::min({by_threads, by_shared, most})), cudaSuccess;
}
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* f, int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, f, threads, shared, 0);
}

// The driver's functions by name: this library has them all, the newest of each.
namespace stand_in {
void* entry_point(const char* name) {
  static void* const self = [] {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&cudaMemGetInfo), &info);
    return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }();
  for (const char* suffix : {"_v3", "_v2", ""})
    if (void* found = dlsym(self, (std::string(name) + suffix).c_str())) return found;
  return nullptr;
}
}  // namespace stand_in
API cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** out, unsigned, unsigned long long,
                                                 cudaDriverEntryPointQueryResult* result) {
  *out = entry_point(name);
  if (result != nullptr) *result = *out != nullptr ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
API cudaError_t cudaGetDriverEntryPoint(const char* name, void** out, unsigned long long,
                                        cudaDriverEntryPointQueryResult* result) {
  return cudaGetDriverEntryPointByVersion(name, out, 0, 0, result);
}

// Behind Python C++ takes libraries down while threads of theirs may still run, and a run that went well would now and
// then end with a segmentation fault, which a launcher takes for a failure. From this call on a process ends with its
// status before that: handlers run in the reverse order of their registration.
API void peakmem_leave() {
  on_exit(
      [](int status, void*) {
        std::fflush(nullptr);
        _exit(status);
      },
      nullptr);
}
