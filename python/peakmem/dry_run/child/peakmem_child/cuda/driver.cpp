// The driver (libcuda) and its management library (libnvidia-ml), as far as PyTorch, bitsandbytes and Triton ask them.
#include <cuda.h>

#include <cstdio>

#include "gpu.h"
#include "memory.h"

#undef cuGetProcAddress  // a macro for cuGetProcAddress_v2
#define API extern "C" __attribute__((visibility("default")))

using namespace stand_in;

namespace {
void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(address); }
CUdeviceptr address(void* pointer) { return reinterpret_cast<CUdeviceptr>(pointer); }

// The one context, module or kernel that everyone gets: nothing is ever asked of it.
template <class Handle>
CUresult the_one(Handle* out) {
  return *out = reinterpret_cast<Handle>(0x100), CUDA_SUCCESS;
}
}  // namespace

API CUresult cuGetProcAddress_v2(const char* name, void** out, int, cuuint64_t,
                                 CUdriverProcAddressQueryResult* result) {
  *out = entry_point(name);
  if (result != nullptr) *result = *out ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return *out != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
API CUresult cuGetProcAddress(const char* name, void** out, int version, cuuint64_t flags) {
  return cuGetProcAddress_v2(name, out, version, flags, nullptr);
}

// Devices and contexts.
API CUresult cuDriverGetVersion(int* version) { return *version = CUDA_VERSION, CUDA_SUCCESS; }
API CUresult cuDeviceGetCount(int* n) { return *n = gpu().count, CUDA_SUCCESS; }
API CUresult cuDeviceGet(CUdevice* device, int index) { return *device = index, CUDA_SUCCESS; }
API CUresult cuDeviceGetName(char* text, int size, CUdevice) {
  return snprintf(text, static_cast<size_t>(size), "%s", gpu().title.c_str()), CUDA_SUCCESS;
}
API CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice) { return *bytes = gpu().memory, CUDA_SUCCESS; }
API CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute which, CUdevice) {
  return *value = attribute(which), CUDA_SUCCESS;
}
API CUresult cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
  return *flags = 0, *active = 1, CUDA_SUCCESS;
}
API CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) { return the_one(context); }
API CUresult cuCtxGetCurrent(CUcontext* context) { return the_one(context); }
API CUresult cuCtxGetDevice(CUdevice* device) { return *device = current_device(), CUDA_SUCCESS; }
API CUresult cuGetErrorString(CUresult error, const char** text) {
  return *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "no such error here", CUDA_SUCCESS;
}
API CUresult cuGetErrorName(CUresult error, const char** text) { return cuGetErrorString(error, text); }
API CUresult cuPointerGetAttribute(void* out, CUpointer_attribute which, CUdeviceptr at) {
  const Kind kind = kind_of(pointer(at));
  if (kind == Kind::kUnknown) return CUDA_ERROR_INVALID_VALUE;
  if (which == CU_POINTER_ATTRIBUTE_CONTEXT) return the_one(static_cast<CUcontext*>(out));
  if (which == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
    return *static_cast<unsigned*>(out) = kind == Kind::kPinned ? 1 : 2, CUDA_SUCCESS;
  if (which == CU_POINTER_ATTRIBUTE_DEVICE_POINTER) return *static_cast<CUdeviceptr*>(out) = at, CUDA_SUCCESS;
  return *static_cast<int*>(out) = 0, CUDA_SUCCESS;
}

// Virtual memory, which expandable segments are made of. Mapping one to the other changes nothing here.
API CUresult cuMemGetAllocationGranularity(size_t* bytes, const CUmemAllocationProp*,
                                           CUmemAllocationGranularity_flags) {
  return *bytes = 2 << 20, CUDA_SUCCESS;
}
API CUresult cuMemAddressReserve(CUdeviceptr* out, size_t bytes, size_t, CUdeviceptr, unsigned long long) {
  return *out = address(reserve(bytes)), CUDA_SUCCESS;
}
API CUresult cuMemAddressFree(CUdeviceptr at, size_t) { return unreserve(pointer(at)), CUDA_SUCCESS; }
API CUresult cuMemCreate(CUmemGenericAllocationHandle* out, size_t bytes, const CUmemAllocationProp*,
                         unsigned long long) {
  return (*out = create_physical(bytes)) != 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
API CUresult cuMemRelease(CUmemGenericAllocationHandle handle) { return release_physical(handle), CUDA_SUCCESS; }

// Modules and kernels by name, as Triton and NVRTC load them.
API CUresult cuModuleLoadData(CUmodule* module, const void*) { return the_one(module); }
API CUresult cuModuleGetFunction(CUfunction* function, CUmodule, const char*) { return the_one(function); }
API CUresult cuLibraryLoadData(CUlibrary* library, const void*, CUjit_option*, void**, unsigned, CUlibraryOption*,
                               void**, unsigned) {
  return the_one(library);
}
API CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary, const char*) { return the_one(kernel); }
API CUresult cuKernelGetFunction(CUfunction* function, CUkernel) { return the_one(function); }
API CUresult cuFuncGetAttribute(int* value, CUfunction_attribute which, CUfunction) {
  return *value = which == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0, CUDA_SUCCESS;
}
API CUresult cuLaunchKernel(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream,
                            void**, void**) {
  return forget(), CUDA_SUCCESS;
}
API CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction, void**, void**) { return forget(), CUDA_SUCCESS; }

// NVML, of which there is no header here. torch.cuda.device_count() asks it first; an out-of-memory message names the
// processes on the GPU: there are none.
API int nvmlDeviceGetCount_v2(unsigned* n) { return *n = static_cast<unsigned>(gpu().count), 0; }
API int nvmlDeviceGetComputeRunningProcesses(void*, unsigned* n, void*) { return *n = 0, 0; }
API int nvmlDeviceGetNvLinkRemoteDeviceType(void*, unsigned, int*) { return 3; }  // NVML_ERROR_NOT_SUPPORTED
