// LZMA as Igor Pavlov's specification has it (lzma-specification.7z, 2015), for a raw stream that knows no positions
// (lp=0, pb=0) and whose unpacked size is known.
#pragma once

#include <cstdint>

namespace peakmem {

inline constexpr uint32_t kLiteralContextBits = 1;  // lc: with streams in it instead of code, the best of all

/// Unpacks `size` bytes of `packed` to `to`. What is packed is trusted.
void unpack_lzma(const uint8_t* packed, uint8_t* to, uint32_t size);

}  // namespace peakmem
