// The code of a WebAssembly module as streams: what is alike stands together, opcodes in one, indices of locals in
// another, and packs a twelfth smaller than in the order in which it runs (the idea of Lucco, "Split-Stream Dictionary
// Program Compression", PLDI 2000). Opcodes and their operands: WebAssembly Core Specification 2.0, index of
// instructions.
#pragma once

#include <cstdint>

namespace peakmem {

/// What a byte of code is, and so the stream it belongs to. kOpcode has also what is rare.
enum Stream : uint8_t { kDeclared, kOpcode, kBranch, kCall, kConstant, kOffset, kWide, kLocal, kStreams };

/// The sizes of what is packed as one, in this order: the module up to its functions, their streams, what follows them.
struct PackedSizes {
  uint32_t before, streams[kStreams], after;
};

/// A number in LEB128, or as much of it as 32 bits hold.
template <class Next>
uint32_t read_leb(Next& next, Stream stream) {
  uint32_t value = 0;
  for (uint32_t shift = 0;; shift += 7) {
    const uint8_t byte = next(stream);
    if (shift < 32) value |= (byte & 0x7FU) << shift;
    if (byte < 0x80) return value;
  }
}

/// What follows an opcode. Traps at one that is not of WebAssembly 1.0 or its sign extensions.
template <class Next>
void read_operands(Next& next, uint8_t opcode) {
  if (opcode > 0xC4) __builtin_trap();
  if (opcode > 0x44) return;  // an operation on the stack alone
  if (opcode >= 0x43) {       // a floating-point number
    for (uint32_t bytes = opcode == 0x43 ? 4 : 8; bytes > 0; --bytes) next(kOpcode);
  } else if (opcode >= 0x41) {
    read_leb(next, opcode == 0x41 ? kConstant : kWide);
  } else if (opcode >= 0x3F) {  // memory.size, memory.grow
    read_leb(next, kOpcode);
  } else if (opcode >= 0x28) {  // a load or a store: its alignment, its offset
    read_leb(next, kOpcode);
    read_leb(next, kOffset);
  } else if (opcode >= 0x20) {
    read_leb(next, opcode < 0x23 ? kLocal : kOpcode);
  } else if (opcode >= 0x02 && opcode <= 0x04) {  // the type of a block
    read_leb(next, kOpcode);
  } else if (opcode == 0x0C || opcode == 0x0D) {
    read_leb(next, kBranch);
  } else if (opcode == 0x0E) {  // br_table
    for (uint32_t labels = read_leb(next, kOpcode) + 1; labels > 0; --labels) read_leb(next, kOpcode);
  } else if (opcode == 0x10) {
    read_leb(next, kCall);
  } else if (opcode == 0x11) {  // call_indirect: a type, a table
    read_leb(next, kOpcode);
    read_leb(next, kOpcode);
  }
}

/// Goes through one function, from its locals to the `end` that closes it. `next` is told the stream that a byte
/// belongs to and gives the byte: so the one who takes code apart and the one who puts it together read the same
/// grammar.
template <class Next>
void read_function(Next next) {
  for (uint32_t groups = read_leb(next, kDeclared); groups > 0; --groups) {
    read_leb(next, kDeclared);
    next(kDeclared);
  }
  for (uint32_t depth = 1; depth > 0;) {
    const uint8_t opcode = next(kOpcode);
    read_operands(next, opcode);
    if (opcode >= 0x02 && opcode <= 0x04) ++depth;
    if (opcode == 0x0B) --depth;
  }
}

}  // namespace peakmem
