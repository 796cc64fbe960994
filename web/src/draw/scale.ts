// Scales: from values to places, and back.

export interface Scale {
  (value: number): number;
  invert(place: number): number;
}

const through = (apply: (value: number) => number, undo: (value: number) => number) =>
  ([low, high]: [number, number], [from, to]: [number, number]): Scale => {
    const [first, span] = [apply(low), apply(high) - apply(low) || 1];
    const scale = (value: number): number => from + ((apply(value) - first) / span) * (to - from);
    return Object.assign(scale, {
      invert: (place: number): number => undo(first + ((place - from) / (to - from)) * span),
    });
  };

export const linear = through((value) => value, (value) => value);
export const logarithmic = through(Math.log2, (value) => 2 ** value);
