// What the bytes are for: the same colours, in the same order, in every picture.
const COLOURED = [
  "weights",
  "gradients",
  "optimizer",
  "activations",
  "temporaries",
  "inputs",
  "buffers",
  "rounding",
  "workspace",
];

export const colour = (category: string): string => `var(--${COLOURED.includes(category) ? category : "other"})`;

/** Every category that some of them have: one whose peak lies elsewhere may have others. */
export function categoriesOf(many: readonly { categories: Record<string, number> }[]): string[] {
  const found = new Set(many.flatMap((each) => Object.keys(each.categories)));
  return [...COLOURED.filter((name) => found.has(name)), ...[...found].filter((name) => !COLOURED.includes(name))];
}
