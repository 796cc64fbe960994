// What can be taken away: the same question elsewhere, and the answer.
import type { FormulaAnswer, Report } from "../core/answers.ts";
import { memo } from "../state/memo.ts";
import { toHash, type State } from "../state/setup.ts";
import { Copier } from "./copier.tsx";
import { commandLine, python } from "./copy.ts";

export interface CopyProps {
  state: State;
  report: Report | null;
  formula: FormulaAnswer | null;
}

export const CopyBar = memo(({ state, report, formula }: CopyProps) => (
  <Copier
    label="Copy as"
    texts={[
      ["command line", () => commandLine(state.setup)],
      ["Python", () => python(state.setup)],
      ["JSON", report && (() => JSON.stringify(report, null, 2))],
      ["LaTeX", formula && (() => formula.formula.peak.latex)],
      ["link", () => `${location.href.replace(/#.*/, "")}#${toHash(state)}`],
    ]}
  />
));
