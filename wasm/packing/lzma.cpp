#include "lzma.h"

namespace peakmem {
namespace {

using Probability = uint16_t;  // of a 0, of 2^11
constexpr uint32_t kBits = 11;
constexpr uint32_t kMove = 5;  // how quickly it adapts
constexpr Probability kHalf = 1U << (kBits - 1);
constexpr uint32_t kTop = 1U << 24;

/// Decodes bits by their probabilities.
class RangeDecoder {
 public:
  explicit RangeDecoder(const uint8_t* packed) : packed_(packed + 1) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | *packed_++;
  }

  uint32_t bit(Probability& probability) {
    const uint32_t bound = (range_ >> kBits) * probability;
    const bool one = code_ >= bound;
    if (one) {
      range_ -= bound;
      code_ -= bound;
      probability -= probability >> kMove;
    } else {
      range_ = bound;
      probability += ((1U << kBits) - probability) >> kMove;
    }
    normalize();
    return one ? 1 : 0;
  }
  uint32_t direct(uint32_t count) {
    uint32_t value = 0;
    for (; count > 0; --count) {
      range_ >>= 1;
      const bool one = code_ >= range_;
      if (one) code_ -= range_;
      value = value << 1 | (one ? 1 : 0);
      normalize();
    }
    return value;
  }
  /// `count` bits down a tree, the highest first.
  uint32_t tree(Probability* nodes, uint32_t count) {
    uint32_t node = 1;
    for (uint32_t i = 0; i < count; ++i) node = node << 1 | bit(nodes[node]);
    return node - (1U << count);
  }
  /// The same, the lowest first.
  uint32_t reverse(Probability* nodes, uint32_t count) {
    uint32_t node = 1;
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t one = bit(nodes[node]);
      node = node << 1 | one;
      value |= one << i;
    }
    return value;
  }

 private:
  void normalize() {
    if (range_ >= kTop) return;
    range_ <<= 8;
    code_ = code_ << 8 | *packed_++;
  }

  const uint8_t* packed_;
  uint32_t range_ = 0xFFFFFFFF;
  uint32_t code_ = 0;
};

struct LengthModel {
  Probability choice[2], low[8], middle[8], high[256];
};
constexpr uint32_t kStates = 12;
/// All that adapts.
struct Model {
  Probability is_match[kStates], is_repeat[kStates], is_repeat0[kStates], is_long0[kStates], is_repeat1[kStates],
      is_repeat2[kStates];
  Probability slots[4][64], middle[128], align[16];
  LengthModel match, repeat;
  Probability literals[1U << kLiteralContextBits][0x300];
};
Model model;

/// The length of a match, less 2.
uint32_t length(RangeDecoder& decoder, LengthModel& of) {
  if (decoder.bit(of.choice[0]) == 0) return decoder.tree(of.low, 3);
  if (decoder.bit(of.choice[1]) == 0) return 8 + decoder.tree(of.middle, 3);
  return 16 + decoder.tree(of.high, 8);
}

/// How far back a match of that length lies, less 1.
uint32_t distance(RangeDecoder& decoder, uint32_t length) {
  const uint32_t slot = decoder.tree(model.slots[length < 3 ? length : 3], 6);
  if (slot < 4) return slot;
  const uint32_t bits = (slot >> 1) - 1;
  const uint32_t base = (2 | (slot & 1)) << bits;
  if (slot < 14) return base + decoder.reverse(model.middle + base - slot, bits);
  const uint32_t high = decoder.direct(bits - 4) << 4;
  return base + high + decoder.reverse(model.align, 4);
}

/// A byte that is no match; after one, `expected` is the byte that the match would have gone on with.
uint8_t literal(RangeDecoder& decoder, uint8_t before, bool after_match, uint32_t expected) {
  Probability* nodes = model.literals[before >> (8 - kLiteralContextBits)];
  uint32_t symbol = 1;
  while (after_match && symbol < 0x100) {
    const uint32_t guess = expected >> 7 & 1;
    expected <<= 1;
    const uint32_t bit = decoder.bit(nodes[((1 + guess) << 8) + symbol]);
    symbol = symbol << 1 | bit;
    after_match = bit == guess;
  }
  while (symbol < 0x100) symbol = symbol << 1 | decoder.bit(nodes[symbol]);
  return static_cast<uint8_t>(symbol);
}

/// Which of the last distances a match repeats.
uint32_t repeated(RangeDecoder& decoder, uint32_t state) {
  if (decoder.bit(model.is_repeat0[state]) == 0) return 0;
  if (decoder.bit(model.is_repeat1[state]) == 0) return 1;
  return 2 + decoder.bit(model.is_repeat2[state]);
}

/// Takes the distance at `index` to the front.
void to_front(uint32_t (&last)[4], uint32_t index) {
  const uint32_t taken = last[index];
  for (; index > 0; --index) last[index] = last[index - 1];
  last[0] = taken;
}

}  // namespace

void unpack_lzma(const uint8_t* packed, uint8_t* to, uint32_t size) {
  auto* const first = reinterpret_cast<Probability*>(&model);
  for (uint32_t i = 0; i < sizeof(model) / sizeof(Probability); ++i) first[i] = kHalf;
  RangeDecoder decoder(packed);
  uint32_t last[4] = {};
  uint32_t state = 0;
  for (uint32_t at = 0; at < size;) {
    const bool after_match = state >= 7;
    if (decoder.bit(model.is_match[state]) == 0) {
      to[at] = literal(decoder, at > 0 ? to[at - 1] : 0, after_match, after_match ? to[at - last[0] - 1] : 0);
      ++at;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    uint32_t bytes = 1;
    if (decoder.bit(model.is_repeat[state]) == 0) {
      const uint32_t more = length(decoder, model.match);
      last[3] = distance(decoder, more);
      to_front(last, 3);
      bytes = more + 2;
      state = after_match ? 10 : 7;
    } else if (const uint32_t index = repeated(decoder, state); index == 0 && decoder.bit(model.is_long0[state]) == 0) {
      state = after_match ? 11 : 9;
    } else {
      to_front(last, index);
      bytes = length(decoder, model.repeat) + 2;
      state = after_match ? 11 : 8;
    }
    for (; bytes > 0 && at < size; --bytes, ++at) to[at] = to[at - last[0] - 1];
  }
}

}  // namespace peakmem
