// What the bytes are for: the same colours in every picture.
const COLOURED = new Set([
  "weights",
  "gradients",
  "optimizer",
  "activations",
  "temporaries",
  "inputs",
  "buffers",
  "rounding",
  "workspace",
]);

export const colour = (category: string): string => `var(--${COLOURED.has(category) ? category : "other"})`;
