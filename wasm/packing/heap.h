// The memory of a module that takes one input, at the heap's start, and gives one result, after all else.
#pragma once

#include <cstddef>
#include <cstdint>

#define PEAKMEM_EXPORT(name) extern "C" __attribute__((export_name(#name)))

extern "C" uint8_t __heap_base;

namespace peakmem {

inline uint8_t* const heap = &__heap_base;
inline uint32_t result_size = 0;  // bytes of the last result

/// Sees to it that there is memory up to `end`.
inline void need(const uint8_t* end) {
  constexpr size_t kPage = 1U << 16;
  const size_t pages = (reinterpret_cast<size_t>(end) + kPage - 1) / kPage;
  if (const size_t now = __builtin_wasm_memory_size(0); pages > now) __builtin_wasm_memory_grow(0, pages - now);
}

/// Gives where the copy ends.
inline uint8_t* copy(const uint8_t* from, size_t bytes, uint8_t* to) {
  for (; bytes > 0; --bytes) *to++ = *from++;
  return to;
}

}  // namespace peakmem
