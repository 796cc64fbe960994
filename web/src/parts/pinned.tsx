// A second set-up beside the first, with what differs, as the core's `compare` says.
import type { CompareAnswer, Problem } from "../core/answers.ts";
import { change, inUnits } from "../state/text.ts";
import { colour } from "./categories.ts";
import { commandLine } from "./copy.ts";
import { ProblemText } from "./field.tsx";
import type { Setup } from "../state/setup.ts";
import type { Later } from "../state/later.ts";

const SHOWN = 12;

export interface PinnedProps {
  pinned: Setup;
  answer: Later<{ compare: CompareAnswer["compare"] | null; problem: Problem | null }>;
  onSwap(): void;
  onDrop(): void;
}

const sign = (bytes: number): string => (bytes > 0 ? "worse" : bytes < 0 ? "better" : "");

function Line({ name, a, b, difference }: { name: string; a: number; b: number; difference: number }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{inUnits(a)}</td>
      <td>{inUnits(b)}</td>
      <td class={sign(difference)}>{change(difference)}</td>
    </tr>
  );
}

function Differences({ compare }: { compare: CompareAnswer["compare"] }) {
  const { a, b, difference } = compare;
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Differences">
      <table class="differences">
        <thead>
          <tr>
            <th scope="col">peak</th>
            <th scope="col">pinned</th>
            <th scope="col">now</th>
            <th scope="col">difference</th>
          </tr>
        </thead>
        <tbody>
          <Line name="device ~" a={a.peak.device_bytes} b={b.peak.device_bytes} difference={difference.device_bytes} />
          <Line name="tensors" a={a.peak.tensor_bytes} b={b.peak.tensor_bytes} difference={difference.tensor_bytes} />
          {compare.ledger.slice(0, SHOWN).map((row) => (
            <tr>
              <th scope="row" title={`${row.category}: ${row.name}`}>
                <i class="swatch" style={{ background: colour(row.category) }} /> <bdi>{row.name}</bdi>
              </th>
              <td>{inUnits(row.a_bytes)}</td>
              <td>{inUnits(row.b_bytes)}</td>
              <td class={sign(row.difference_bytes)}>{change(row.difference_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {compare.ledger.length > SHOWN && <p class="muted">and {compare.ledger.length - SHOWN} rows more</p>}
    </div>
  );
}

export function PinnedPanel({ pinned, answer, onSwap, onDrop }: PinnedProps) {
  const compare = answer.value?.compare;
  return (
    <section class={answer.stale ? "panel pinned stale" : "panel pinned"} aria-labelledby="pinned-title">
      <header>
        <h2 id="pinned-title">Against the pinned set-up</h2>
        {compare?.a.fits && <strong class={`badge ${compare.a.fits.verdict.replaceAll(" ", "-")}`}>{compare.a.fits.verdict}</strong>}
        <div class="choice">
          <button type="button" onClick={onSwap}>
            swap
          </button>
          <button type="button" onClick={onDrop}>
            unpin
          </button>
        </div>
      </header>
      <p class="mono">{commandLine(pinned)}</p>
      {answer.value?.problem && <ProblemText problem={answer.value.problem} />}
      {compare && <Differences compare={compare} />}
    </section>
  );
}
