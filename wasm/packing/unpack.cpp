// A module of its own that unpacks peakmem.wasm in the page: in a third of the time that JavaScript takes, which is
// slow until it is warm.
#include "code_streams.h"
#include "heap.h"
#include "lzma.h"

namespace peakmem {
namespace {

uint8_t* write_leb(uint32_t value, uint8_t* to) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<uint8_t>(value | 0x80);
  *to++ = static_cast<uint8_t>(value);
  return to;
}

/// The module of what stands at `parts` one after the other; gives where it ends.
uint8_t* join(const PackedSizes& sizes, const uint8_t* parts, uint8_t* to) {
  const uint8_t* at[kStreams];
  to = copy(parts, sizes.before, to);
  parts += sizes.before;
  for (uint32_t i = 0; i < kStreams; parts += sizes.streams[i++]) at[i] = parts;
  for (const uint8_t* const end = at[kOpcode] + sizes.streams[kOpcode]; at[kOpcode] < end;) {
    constexpr uint32_t kMostOfSize = 5;  // bytes, which follow from the body
    uint8_t* const body = to + kMostOfSize;
    uint8_t* body_end = body;
    read_function([&](Stream stream) { return *body_end++ = *at[stream]++; });
    const auto bytes = static_cast<uint32_t>(body_end - body);
    to = copy(body, bytes, write_leb(bytes, to));
  }
  return copy(parts, sizes.after, to);
}

}  // namespace
}  // namespace peakmem

/// Of PackedSizes and what they are the sizes of in LZMA, the module.
PEAKMEM_EXPORT(unpack) uint8_t* unpack(size_t bytes) {
  using namespace peakmem;
  const auto& sizes = *reinterpret_cast<const PackedSizes*>(heap);
  uint32_t content = sizes.before + sizes.after;
  for (const uint32_t stream : sizes.streams) content += stream;
  uint8_t* const parts = heap + bytes;
  uint8_t* const module = parts + content;
  need(module + 2 * content);
  unpack_lzma(heap + sizeof(PackedSizes), parts, content);
  result_size = static_cast<uint32_t>(join(sizes, parts, module) - module);
  return module;
}
