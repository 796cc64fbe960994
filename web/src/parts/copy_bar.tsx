// What can be taken away: the same question elsewhere, and the answer.
import { useState } from "preact/hooks";
import type { FormulaAnswer, Report } from "../core/answers.ts";
import { toHash, type State } from "../state/setup.ts";
import { commandLine, python } from "./copy.ts";
import { memo } from "../state/memo.ts";

export interface CopyProps {
  state: State;
  report: Report | null;
  formula: FormulaAnswer | null;
}

export const CopyBar = memo(({ state, report, formula }: CopyProps) => {
  const [said, setSaid] = useState<{ text: string; shown: string } | null>(null);
  const texts: [string, (() => string) | null][] = [
    ["command line", () => commandLine(state.setup)],
    ["Python", () => python(state.setup)],
    ["JSON", report && (() => JSON.stringify(report, null, 2))],
    ["LaTeX", formula && (() => formula.formula.peak.latex)],
    ["link", () => `${location.href.replace(/#.*/, "")}#${toHash(state)}`],
  ];
  const copy = async (name: string, text: string): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid({ text: `${name} copied`, shown: "" });
    } catch {
      // Without permission, such as from a file: show it to be copied by hand.
      setSaid({ text: `${name}, to copy by hand`, shown: text });
    }
  };
  return (
    <div class="copy" role="group" aria-label="Copy as">
      <span class="muted">Copy as</span>
      {texts.map(([name, text]) => (
        <button type="button" disabled={text === null} onClick={() => text && void copy(name, text())}>
          {name}
        </button>
      ))}
      <span role="status">{said?.text}</span>
      {said?.shown && <textarea aria-label={said.text} readOnly rows={3} value={said.shown} />}
    </div>
  );
});
