// What the build takes peakmem.wasm apart with, for LZMA (xz) to pack.
#include "code_streams.h"
#include "heap.h"

namespace peakmem {
namespace {

constexpr uint8_t kCodeSection = 10;

struct Reader {
  const uint8_t* at;
  uint8_t operator()(Stream /*stream*/) { return *at++; }
  uint32_t number() { return read_leb(*this, kOpcode); }
};

/// A module's section of code, after the number of its functions.
struct Code {
  const uint8_t *first, *end;
};
Code find_code(const uint8_t* module) {
  constexpr size_t kHeader = 8;
  Reader reader{module + kHeader};
  for (;;) {
    const uint8_t section = *reader.at++;
    const uint32_t bytes = reader.number();
    const uint8_t* const end = reader.at + bytes;
    if (section == kCodeSection) {
      reader.number();
      return {reader.at, end};
    }
    reader.at = end;
  }
}

/// Sorts the functions into `streams`, each of which has room for all; gives where they end.
void sort(const Code& code, uint8_t* (&streams)[kStreams]) {
  Reader reader{code.first};
  while (reader.at < code.end) {
    reader.number();  // the size of the body
    read_function([&](Stream stream) { return *streams[stream]++ = *reader.at++; });
  }
}

}  // namespace
}  // namespace peakmem

/// Of a module of `bytes`: the PackedSizes, and what they are the sizes of.
PEAKMEM_EXPORT(split) uint8_t* split(size_t bytes) {
  using namespace peakmem;
  need(heap + (kStreams + 2) * bytes + sizeof(PackedSizes));
  const Code code = find_code(heap);
  const auto room = [&](uint32_t i) { return heap + (i + 1) * bytes; };
  uint8_t* streams[kStreams];
  for (uint32_t i = 0; i < kStreams; ++i) streams[i] = room(i);
  sort(code, streams);
  uint8_t* const packed = room(kStreams);
  PackedSizes sizes{static_cast<uint32_t>(code.first - heap), {}, static_cast<uint32_t>(heap + bytes - code.end)};
  uint8_t* end = copy(heap, sizes.before, packed + sizeof(sizes));
  for (uint32_t i = 0; i < kStreams; ++i) {
    sizes.streams[i] = static_cast<uint32_t>(streams[i] - room(i));
    end = copy(room(i), sizes.streams[i], end);
  }
  end = copy(code.end, sizes.after, end);
  copy(reinterpret_cast<const uint8_t*>(&sizes), sizeof(sizes), packed);
  result_size = static_cast<uint32_t>(end - packed);
  return packed;
}
