// Axes of the plots: bytes upwards in round binary steps, anything to the right.
import { inUnits } from "../state/text.ts";
import type { Scale } from "./scale.ts";

export interface Frame {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
}
export const FRAME: Frame = { width: 600, height: 270, left: 66, right: 14, top: 20, bottom: 38 };

/** Round steps of bytes: 1, 2 or 5 times a power of two that is a unit or a part of one. */
export function byteTicks(most: number, about = 5): number[] {
  const unit = 1024 ** Math.floor(Math.log2(Math.max(1, most)) / 10);
  const rough = most / unit / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? power;
  const ticks: number[] = [];
  for (let i = 0; i * step * unit <= most; ++i) ticks.push(i * step * unit);
  return ticks;
}

/** A tick's text, without decimals that say nothing. */
const tickText = (bytes: number): string => (bytes === 0 ? "0" : inUnits(bytes).replace(/\.?0+ /, " "));

export function ByteAxis({ y, most, frame }: { y: Scale; most: number; frame: Frame }) {
  return (
    <g class="axis bytes" aria-hidden="true">
      <text x={2} y={frame.top - 4} class="soft title">
        memory
      </text>
      {byteTicks(most).map((tick) => (
        <g transform={`translate(0,${y(tick)})`}>
          <line x1={frame.left} x2={frame.width - frame.right} class="grid" />
          <text x={frame.left - 6} y={4} text-anchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
    </g>
  );
}

export interface Tick {
  at: number;
  text: string;
}

export function BottomAxis({ ticks, title, frame }: { ticks: Tick[]; title: string; frame: Frame }) {
  const base = frame.height - frame.bottom;
  return (
    <g class="axis" aria-hidden="true">
      <line x1={frame.left} x2={frame.width - frame.right} y1={base} y2={base} class="base" />
      {ticks.map((tick) => (
        <text x={tick.at} y={base + 17} text-anchor="middle">
          {tick.text}
        </text>
      ))}
      <text x={frame.width - frame.right} y={frame.height - 4} text-anchor="end" class="soft">
        {title}
      </text>
    </g>
  );
}

/** The card's capacity across a plot. */
export function LimitLine({ y, bytes, text, frame }: { y: Scale; bytes: number; text: string; frame: Frame }) {
  return (
    <g class="limit-line">
      <line x1={frame.left} x2={frame.width - frame.right} y1={y(bytes)} y2={y(bytes)} />
      <text x={frame.left + 6} y={y(bytes) - 5}>
        {text}
      </text>
    </g>
  );
}
