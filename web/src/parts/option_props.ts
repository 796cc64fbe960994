// What the field of an option is given, whatever its kind.
import type { OptionRow, Problem } from "../core/answers.ts";

export interface OptionProps {
  row: OptionRow;
  label?: string | undefined; // in place of its name
  idle?: boolean | undefined; // it cannot matter in this set-up
  text: string; // as typed, empty where nothing is
  usual: number | null; // the value a size has where nothing is typed
  around: number | null; // where a size's slider has its middle
  titles?: ReadonlyMap<string, string>; // of the choices
  problem: Problem | null;
  onOption(name: string, text: string): void;
  accepts(name: string, text: string): boolean;
}
