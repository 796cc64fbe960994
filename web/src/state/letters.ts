// The letters of the formula: the table's, those of who comes with sizes alone, or one's own.
import type { OptionRow } from "../core/answers.ts";
import type { Setup } from "./setup.ts";

const OF_SIZES: Readonly<Record<string, string>> = { L: "l", N: "h", C: "d", T: "t", B: "b" };

/** "B=b,T=s" as letters by their symbols. */
export const readLetters = (text: string): Record<string, string> =>
  Object.fromEntries(text.split(",").filter((each) => each.includes("=")).map((each) => each.split("=", 2) as [string, string]));
export const writeLetters = (letters: Readonly<Record<string, string>>): string =>
  Object.entries(letters).map((each) => each.join("=")).join();

/** Those of a set-up, one's own before all others. */
export const lettersOf = (setup: Setup, own: string): Record<string, string> => ({
  ...(setup.model === null && setup.config === null ? OF_SIZES : {}),
  ...readLetters(own),
});

/** The letter beside the field of a size. */
export const letterOf = (row: OptionRow, setup: Setup, own: string): string => lettersOf(setup, own)[row.symbol] ?? row.symbol;
