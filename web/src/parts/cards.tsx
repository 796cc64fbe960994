// Several cards as a strip: on which of them it fits.
import type { CardRow } from "../core/answers.ts";
import type { Later } from "../state/later.ts";
import { memo } from "../state/memo.ts";
import { inUnits } from "../state/text.ts";

const SIGNS: Readonly<Record<CardRow["verdict"], string>> = { fits: "✓", tight: "≈", "does not fit": "✗" };
export const signOf = (verdict: CardRow["verdict"]): string => SIGNS[verdict];
export const classOf = (verdict: CardRow["verdict"]): string => verdict.replaceAll(" ", "-");

export interface CardsProps {
  answer: Later<CardRow[]>;
  chosen: string;
  onOption(name: string, text: string): void;
}

export const CardsStrip = memo(({ answer, chosen, onOption }: CardsProps) => (
  <div class="cards" role="group" aria-label="Cards">
    {(answer.value ?? []).map((row) => (
      <button
        type="button"
        class={`card ${classOf(row.verdict)}`}
        aria-pressed={row.gpu === chosen}
        title={`${row.title}: ${inUnits(row.device_bytes)} of ${inUnits(row.capacity_bytes)}, ${row.verdict}`}
        onClick={() => onOption("gpu", row.gpu)}
      >
        <span aria-hidden="true">{signOf(row.verdict)}</span> {row.gpu}
        <span class="hidden">, {row.verdict}</span>
      </button>
    ))}
  </div>
));
