// The core's tables that the page is made of, and the sizes that it understood.
import type { ConfigAnswer, GpuRow, OptionRow } from "./answers.ts";

export interface Tables {
  options: OptionRow[];
  gpus: GpuRow[];
}

export const sizeIn = (config: ConfigAnswer["config"] | null, name: string): number | null => {
  const value = config?.[name.replaceAll("-", "_")];
  return typeof value === "number" && value > 0 ? value : null;
};
