// The values a slider stops at: four to each doubling, rounded (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...).

const PER_DOUBLING = 4;
const DOUBLINGS = 5; // on either side of the model's own size

export function notches(around: number): number[] {
  const middle = Math.round(Math.log2(Math.max(1, around)));
  const first = Math.max(0, middle - DOUBLINGS);
  const values = new Set<number>();
  for (let i = first * PER_DOUBLING; i <= (middle + DOUBLINGS) * PER_DOUBLING; ++i) {
    const octave = 2 ** Math.floor(i / PER_DOUBLING);
    values.add(Math.round(octave * (1 + (i % PER_DOUBLING) / PER_DOUBLING)));
  }
  values.add(around);
  return [...values].sort((a, b) => a - b);
}

/** The notch nearest to a value. */
export function nearestNotch(values: readonly number[], value: number): number {
  let best = 0;
  values.forEach((each, i) => {
    if (Math.abs(each - value) < Math.abs((values[best] ?? 0) - value)) best = i;
  });
  return best;
}

/** The next notch above (or, with -1, below) a value; the value itself where there is none. */
export function nextNotch(values: readonly number[], value: number, direction: 1 | -1): number {
  const beyond = values.filter((each) => (direction > 0 ? each > value : each < value));
  return (direction > 0 ? beyond[0] : beyond[beyond.length - 1]) ?? value;
}
