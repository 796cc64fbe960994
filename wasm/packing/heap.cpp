#include "heap.h"

/// Where `bytes` of input go.
PEAKMEM_EXPORT(input) uint8_t* input(size_t bytes) {
  peakmem::need(peakmem::heap + bytes);
  return peakmem::heap;
}
PEAKMEM_EXPORT(result_bytes) uint32_t result_bytes() { return peakmem::result_size; }
