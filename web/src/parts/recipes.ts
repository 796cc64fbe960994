// Recipes: options that are given together. QLoRA as its paper has it (Dettmers et al. 2023, arXiv 2305.14314): NF4 with
// quantized constants and a paged optimizer; FSDP as torchtitan does by default, weights in fp32 and computed with in bf16.
import type { Setup } from "../state/setup.ts";

const LORA = { precision: "bf16", "lora-rank": "16", "lora-targets": "all-linear" };
export const RECIPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "full bf16": { precision: "bf16" },
  LoRA: LORA,
  QLoRA: { ...LORA, quantize: "nf4", "double-quant": "true", optimizer: "paged-adamw-32bit", checkpointing: "full" },
  "FSDP 8": { fsdp: "8", "fsdp-param-dtype": "bf16" },
  pretraining: { precision: "bf16-mixed", "optimizer-impl": "fused", "clip-grad": "true" },
};
const THEIRS = [...new Set(Object.values(RECIPES).flatMap(Object.keys))];

/** The set-up by a recipe: what another recipe sets is not given, all else stays. */
export function byRecipe(setup: Setup, name: string): Setup {
  const others = Object.entries(setup.options).filter(([option]) => !THEIRS.includes(option));
  return { ...setup, options: { ...Object.fromEntries(others), ...RECIPES[name] } };
}

/** The recipe that a set-up follows, if any. */
export const recipeOf = ({ options }: Setup): string | null =>
  Object.keys(RECIPES).find((name) => THEIRS.every((option) => (options[option] ?? "") === (RECIPES[name]?.[option] ?? ""))) ?? null;
