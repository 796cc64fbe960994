// LZMA as Igor Pavlov's specification has it (lzma-specification.7z, 2015), for one buffer of known size: some 30 ms for the
// core, a tenth of what the libraries for JavaScript take, which keep 64-bit numbers in pairs.

const BITS = 11; // of a probability
const HALF = 1 << (BITS - 1);
const MOVE = 5; // how quickly it adapts
const TOP = 2 ** 24;

const probabilities = (count: number): Uint16Array => new Uint16Array(count).fill(HALF);

/** Decodes bits by their probabilities. */
class RangeDecoder {
  private range = 0xffffffff;
  private code = 0;

  constructor(
    private readonly input: Uint8Array,
    private at: number,
  ) {
    for (let i = 0; i < 5; ++i) this.code = ((this.code << 8) | this.next()) >>> 0;
  }
  private next(): number {
    return this.input[this.at++] ?? 0;
  }
  private normalize(): void {
    if (this.range >= TOP) return;
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | this.next()) >>> 0;
  }
  bit(all: Uint16Array, i: number): number {
    const probability = all[i] as number;
    const bound = (this.range >>> BITS) * probability;
    const one = this.code >= bound;
    if (one) {
      this.range -= bound;
      this.code -= bound;
      all[i] = probability - (probability >>> MOVE);
    } else {
      this.range = bound;
      all[i] = probability + (((1 << BITS) - probability) >>> MOVE);
    }
    this.normalize();
    return one ? 1 : 0;
  }
  direct(count: number): number {
    let value = 0;
    for (let i = 0; i < count; ++i) {
      this.range >>>= 1;
      const one = this.code >= this.range;
      if (one) this.code -= this.range;
      value = value * 2 + (one ? 1 : 0);
      this.normalize();
    }
    return value;
  }
  /** `count` bits down a tree that begins at `from`, the highest first. */
  tree(all: Uint16Array, from: number, count: number): number {
    let node = 1;
    for (let i = 0; i < count; ++i) node = (node << 1) | this.bit(all, from + node);
    return node - (1 << count);
  }
  /** The same, the lowest first. */
  reverse(all: Uint16Array, from: number, count: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < count; ++i) {
      const bit = this.bit(all, from + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }
}

/** Decodes the length of a match, less 2. */
function lengthDecoder(decoder: RangeDecoder): (position: number) => number {
  const choice = probabilities(2);
  const low = probabilities(16 << 3);
  const middle = probabilities(16 << 3);
  const high = probabilities(256);
  return (position) => {
    if (!decoder.bit(choice, 0)) return decoder.tree(low, position << 3, 3);
    if (!decoder.bit(choice, 1)) return 8 + decoder.tree(middle, position << 3, 3);
    return 16 + decoder.tree(high, 0, 8);
  };
}

/** Decodes how far back a match lies, less 1. */
function distanceDecoder(decoder: RangeDecoder): (length: number) => number {
  const slots = probabilities(4 << 6);
  const middle = probabilities(128);
  const align = probabilities(16);
  return (length) => {
    const slot = decoder.tree(slots, Math.min(length, 3) << 6, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + decoder.reverse(middle, base - slot, bits);
    return base + decoder.direct(bits - 4) * 16 + decoder.reverse(align, 0, 4);
  };
}

const HEADER = 13; // properties, the dictionary's size, the content's size

/** The content of what `xz --format=lzma` wrote, of `size` bytes. */
export function unpackLzma(input: Uint8Array, size: number): Uint8Array {
  const properties = input[0] ?? 0;
  const literalContext = properties % 9;
  const literalPosition = Math.floor(properties / 9) % 5;
  const positionMask = (1 << Math.floor(properties / 45)) - 1;
  const decoder = new RangeDecoder(input, HEADER);
  const [isMatch, isLong0] = [probabilities(12 << 4), probabilities(12 << 4)];
  const [isRepeat, isRepeat0, isRepeat1, isRepeat2] = [probabilities(12), probabilities(12), probabilities(12), probabilities(12)];
  const literals = probabilities(0x300 << (literalContext + literalPosition));
  const matchLength = lengthDecoder(decoder);
  const repeatLength = lengthDecoder(decoder);
  const matchDistance = distanceDecoder(decoder);
  const output = new Uint8Array(size);
  let at = 0;
  let state = 0;
  let [last0, last1, last2, last3] = [0, 0, 0, 0];

  const literal = (): void => {
    const before = at > 0 ? (output[at - 1] as number) : 0;
    const context = ((at & ((1 << literalPosition) - 1)) << literalContext) + (before >> (8 - literalContext));
    const from = 0x300 * context;
    let symbol = 1;
    if (state >= 7) {
      let match = output[at - last0 - 1] as number;
      while (symbol < 0x100) {
        const expected = (match >> 7) & 1;
        match <<= 1;
        const bit = decoder.bit(literals, from + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | decoder.bit(literals, from + symbol);
    output[at++] = symbol & 0xff;
    state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  };
  /** Brings the distance that a repeated match names to the front; true where it is a single byte. */
  const repeated = (position: number): boolean => {
    if (!decoder.bit(isRepeat0, state)) return !decoder.bit(isLong0, (state << 4) + position);
    if (!decoder.bit(isRepeat1, state)) [last0, last1] = [last1, last0];
    else if (!decoder.bit(isRepeat2, state)) [last0, last1, last2] = [last2, last0, last1];
    else [last0, last1, last2, last3] = [last3, last0, last1, last2];
    return false;
  };
  const copy = (length: number): void => {
    for (const end = Math.min(size, at + length); at < end; ++at) output[at] = output[at - last0 - 1] as number;
  };

  while (at < size) {
    const position = at & positionMask;
    if (!decoder.bit(isMatch, (state << 4) + position)) {
      literal();
    } else if (!decoder.bit(isRepeat, state)) {
      [last1, last2, last3] = [last0, last1, last2];
      const length = matchLength(position);
      last0 = matchDistance(length);
      state = state < 7 ? 7 : 10;
      copy(length + 2);
    } else if (repeated(position)) {
      state = state < 7 ? 9 : 11;
      copy(1);
    } else {
      const length = repeatLength(position);
      state = state < 7 ? 8 : 11;
      copy(length + 2);
    }
  }
  return output;
}
