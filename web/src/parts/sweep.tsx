// The panel of the plot: what is varied, what is drawn, the same as a table.
import { useState } from "preact/hooks";
import type { Problem, SolveAnswer, SweepAnswer, Verdict } from "../core/answers.ts";
import { goodPoints, SweepPlot } from "../draw/sweep_plot.tsx";
import { Save } from "../draw/save.tsx";
import type { Later } from "../state/later.ts";
import { grouped, inUnits } from "../state/text.ts";
import { ProblemText } from "./field.tsx";
import { memo } from "../state/memo.ts";
import type { View } from "../state/setup.ts";

function Numbers({ answer }: { answer: SweepAnswer }) {
  return (
    <details class="numbers">
      <summary>As a table</summary>
      <table>
        <thead>
          <tr>
            <th scope="col">{answer.sweep.over}</th>
            <th scope="col">allocated</th>
            <th scope="col">device ~</th>
          </tr>
        </thead>
        <tbody>
          {goodPoints(answer).map((point) => (
            <tr>
              <th scope="row">{grouped(point.value)}</th>
              <td>{inUnits(point.allocated_bytes)}</td>
              <td>{inUnits(point.device_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

export interface SweepProps {
  over: string;
  choices: string[];
  answer: Later<{ answer: SweepAnswer | null; problem: Problem | null }>;
  largest: SolveAnswer["solve"] | null;
  at: number | null;
  fits: Verdict | null;
  onView(view: Partial<View>): void;
  onOption(name: string, text: string): void;
}

export const SweepPanel = memo(({ over, choices, answer, largest, at, fits, onView, onOption }: SweepProps) => {
  const [shown, setShown] = useState<ReadonlySet<string>>(new Set());
  const found = answer.value?.answer ?? null;
  const toggle = (name: string): void => {
    const next = new Set(shown);
    if (!next.delete(name)) next.add(name);
    setShown(next);
  };
  return (
    <section class={answer.stale ? "panel sweep stale" : "panel sweep"} aria-labelledby="sweep-title">
      <header>
        <h2 id="sweep-title">Memory against</h2>
        <select aria-label="what the plot varies" value={over} onChange={(event) => onView({ over: event.currentTarget.value })}>
          {!choices.includes(over) && <option value={over}>{over}</option>}
          {choices.map((choice) => (
            <option value={choice}>{choice}</option>
          ))}
        </select>
        {largest && (
          <span>
            the largest that fits: <strong>{grouped(largest.value)}</strong>
            {largest.limit && <span class="muted"> ({largest.limit})</span>}
          </span>
        )}
      </header>
      {answer.value?.problem && <ProblemText problem={answer.value.problem} />}
      {found && (
        <figure class="draw">
          <Save name="plot" />
          <SweepPlot answer={found} at={at} fits={fits} largest={largest} textbook={shown} onValue={(value) => onOption(over, String(value))} />
          {found.sweep.textbook.length > 0 && (
            <details>
              <summary>
                Formulas in circulation
                {shown.size > 0 && <span class="count">{shown.size} drawn</span>}
              </summary>
              <div class="lines-shown" role="group" aria-label="Formulas in circulation">
                {found.sweep.textbook.map((row, i) => (
                  <label title={`${row.formula} · ${row.source}`}>
                    <input type="checkbox" checked={shown.has(row.name)} onChange={() => toggle(row.name)} />
                    <i class={`sample line${i % 6}`} />
                    <span>
                      {row.name} <span class="muted mono">{row.formula}</span>
                    </span>
                  </label>
                ))}
              </div>
            </details>
          )}
          <Numbers answer={found} />
        </figure>
      )}
    </section>
  );
});
