// malloc for a module that answers a question and then frees nearly all it took: blocks are powers of two, and those
// that were freed wait in a list for each. The C library's allocator, which merges neighbours, is a fiftieth of the
// module.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

extern "C" char __heap_base;  // NOLINT(bugprone-reserved-identifier): the linker's name for where free memory begins

namespace {

/// What stands before the content of a block.
struct Head {
  size_t power;  // the block's size, with this, is 2^power
  Head* next;    // while it waits
};
constexpr size_t kLeast = 4, kMost = 30;
constexpr size_t kPage = 16;

std::array<Head*, kMost + 1> waiting{};
uintptr_t fresh = 0;  // no byte from here on was ever in use

/// A block that was never in use; null if there is no memory for it.
Head* carve(size_t power) {
  if (fresh == 0) fresh = (reinterpret_cast<uintptr_t>(&__heap_base) + 7) & ~uintptr_t{7};
  const size_t bytes = size_t{1} << power;
  if (bytes > UINTPTR_MAX - fresh) return nullptr;
  const size_t pages = ((fresh + bytes - 1) >> kPage) + 1;
  if (const size_t now = __builtin_wasm_memory_size(0); pages > now)
    if (__builtin_wasm_memory_grow(0, pages - now) == SIZE_MAX) return nullptr;
  auto* const block = reinterpret_cast<Head*>(fresh);
  fresh += bytes;
  block->power = power;
  return block;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) {
  if (bytes > (size_t{1} << kMost) - sizeof(Head)) return nullptr;
  const auto power = std::max(kLeast, static_cast<size_t>(std::bit_width(bytes + sizeof(Head) - 1)));
  Head* block = waiting[power];
  if (block != nullptr)
    waiting[power] = block->next;
  else
    block = carve(power);
  return block == nullptr ? nullptr : block + 1;
}

void free(void* content) {
  if (content == nullptr) return;
  auto* const block = static_cast<Head*>(content) - 1;
  block->next = waiting[block->power];
  waiting[block->power] = block;
}

/// What is aligned to more than 8 bytes is so for the processor alone, and WebAssembly asks for none.
void* aligned_alloc(size_t /*alignment*/, size_t bytes) { return malloc(bytes); }

}  // extern "C"
