// Which colour is what.
import { colour } from "../parts/categories.ts";

/** `outside`: what the allocator and CUDA hold beside the tensors. */
export const Legend = ({ categories, outside }: { categories: readonly string[]; outside?: boolean }) => (
  <ul class="legend">
    {categories.map((name) => (
      <li>
        <i class="swatch" style={{ background: colour(name) }} /> {name}
      </li>
    ))}
    {outside && (
      <li>
        <i class="swatch outside" /> reserved beside, and the CUDA context
      </li>
    )}
  </ul>
);
