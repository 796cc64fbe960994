// The memory of a GPU that is not there: addresses and a capacity, and what little comes back from it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stand_in {

/// The device that this thread has chosen.
int& current_device();

/// Where device memory is given from; no host memory ever lies there.
bool on_device(const void* address);

/// What cudaMalloc and cudaFree do. Null where the GPU's memory is used up.
void* allocate(size_t bytes);
void release(void* address);

/// What cuMemAddressReserve and cuMemAddressFree do: addresses cost nothing.
void* reserve(size_t bytes);
void unreserve(void* address);

/// What cuMemCreate and cuMemRelease do: memory without an address. 0 where it is used up.
uint64_t create_physical(size_t bytes);
void release_physical(uint64_t handle);

size_t free_bytes();

/// One place for all __device__ variables of all kernels: nobody reads or writes them.
void* device_variables();

/// Memory of the host that CUDA knows: pinned, or managed.
enum class Kind { kUnknown, kPinned, kDevice, kManaged };  // as cudaMemoryType
void* allocate_host(size_t bytes, Kind kind);
bool release_host(void* address);
Kind kind_of(const void* address);

/// What cudaMemcpy does.
void copy(void* to, const void* from, size_t bytes);
/// A kernel may have written anywhere.
void forget();

/// A function of the driver by its name, in its newest version; null where this library has none.
void* entry_point(const char* name);

}  // namespace stand_in
