// Other set-ups beside this one, with what differs, as the core's `compare` says.
import { useState } from "preact/hooks";
import type { CompareAnswer } from "../core/answers.ts";
import type { Compared } from "../state/ask.ts";
import { change, inUnits } from "../state/text.ts";
import { colour } from "./categories.ts";
import { commandLine } from "./copy.ts";
import { ProblemText } from "./field.tsx";
import type { Setup } from "../state/setup.ts";
import type { Later } from "../state/later.ts";

const SHOWN = 12;

export interface PinnedProps {
  pins: readonly Setup[];
  answer: Later<Compared[]>;
  onSwap(pin: Setup): void;
  onDrop(pin: Setup): void;
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

/** The pinned set-ups, each as a row: its peak, and what the present one has more or less. */
function Pins({ pins, found, shown, onShow, onSwap, onDrop }: Omit<PinnedProps, "answer"> & { found: Compared[]; shown: number; onShow(row: number): void }) {
  return (
    <ul class="pins">
      {pins.map((pin, i) => {
        const { compare, problem } = found[i] ?? { compare: null, problem: null };
        const fits = compare?.a.fits;
        return (
          <li>
            <p class="mono">{commandLine(pin)}</p>
            {problem && <ProblemText problem={problem} />}
            {compare && (
              <span>
                {inUnits(compare.a.peak.device_bytes)}
                {fits && <strong class={fits.verdict.replaceAll(" ", "-")}> {fits.verdict}</strong>}, now{" "}
                <span class={sign(compare.difference.device_bytes)}>{change(compare.difference.device_bytes)}</span>
              </span>
            )}
            <span class="choice">
              {pins.length > 1 && (
                <button type="button" aria-pressed={i === shown} onClick={() => onShow(i)}>
                  differences
                </button>
              )}
              <button type="button" onClick={() => onSwap(pin)}>
                swap
              </button>
              <button type="button" onClick={() => onDrop(pin)}>
                unpin
              </button>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

export function PinnedPanel({ pins, answer, onSwap, onDrop }: PinnedProps) {
  const [asked, setAsked] = useState<number | null>(null);
  const shown = Math.min(asked ?? pins.length - 1, pins.length - 1);
  const found = answer.value ?? [];
  const compare = found[shown]?.compare;
  return (
    <section class={answer.stale ? "panel pinned stale" : "panel pinned"} aria-labelledby="pinned-title">
      <header>
        <h2 id="pinned-title">{pins.length > 1 ? `Against ${pins.length} pinned set-ups` : "Against the pinned set-up"}</h2>
      </header>
      <Pins pins={pins} found={found} shown={shown} onShow={setAsked} onSwap={onSwap} onDrop={onDrop} />
      {compare && <Differences compare={compare} />}
    </section>
  );
}
