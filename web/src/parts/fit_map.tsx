// Which batch and length fit on the card, as a small map; a cell takes both.
import type { Later } from "../state/later.ts";
import { memo } from "../state/memo.ts";
import type { MapRow } from "../state/ask_cards.ts";
import { grouped, inUnits } from "../state/text.ts";
import { classOf, signOf } from "./cards.tsx";

export interface MapProps {
  answer: Later<MapRow[]>;
  batches: readonly number[];
  gpu: string;
  now: { batch: number | null; seq: number | null };
  onTake(options: Readonly<Record<string, string>>): void;
}

export const FitMap = memo(({ answer, batches, gpu, now, onTake }: MapProps) => (
  <section class={answer.stale ? "panel stale" : "panel"} aria-labelledby="map-title">
    <header>
      <h2 id="map-title">What fits on {gpu}</h2>
      <span class="muted">✓ fits, ≈ tight, ✗ does not</span>
    </header>
    <div class="scroll" tabIndex={0} role="group" aria-label="Batch against length">
      <table class="fit-map">
        <thead>
          <tr>
            <th scope="col">seq \ batch</th>
            {batches.map((batch) => (
              <th scope="col">{grouped(batch)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(answer.value ?? []).map((row) => (
            <tr>
              <th scope="row">{grouped(row.seq)}</th>
              {batches.map((batch) => {
                const point = row.points.find((each) => each.value === batch);
                if (!point?.fits || point.device_bytes === undefined) return <td>–</td>;
                const told = `batch ${batch}, seq ${row.seq}: ${inUnits(point.device_bytes)}, ${point.fits.verdict}`;
                return (
                  <td>
                    <button
                      type="button"
                      class={classOf(point.fits.verdict)}
                      aria-pressed={batch === now.batch && row.seq === now.seq}
                      aria-label={told}
                      title={told}
                      onClick={() => onTake({ batch: String(batch), seq: String(row.seq) })}
                    >
                      {signOf(point.fits.verdict)}
                    </button>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  </section>
));
