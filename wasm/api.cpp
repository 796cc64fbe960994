// The core as a WebAssembly module. A page (peakmem.mjs) writes its request into memory it has asked for, calls `run`
// and reads the response, which stays until the next one.

#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/answer.h"

#define PEAKMEM_EXPORT(name) extern "C" __attribute__((export_name(#name)))

namespace {
std::string response;
}

PEAKMEM_EXPORT(allocate) void* allocate(size_t bytes) { return std::malloc(bytes); }
PEAKMEM_EXPORT(release) void release(void* memory) { std::free(memory); }

PEAKMEM_EXPORT(run) const char* run(const char* request, size_t bytes) {
  response = peakmem::answer(std::string_view(request, bytes));
  return response.data();
}
PEAKMEM_EXPORT(response_bytes) size_t response_bytes() { return response.size(); }
