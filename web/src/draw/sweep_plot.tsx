// Memory against one size: stacked by category, with what is beside the tensors on top, the card's capacity, the largest
// value that fits, and the formulas in circulation as lines.
import { area, line, stack } from "d3-shape";
import { useState } from "preact/hooks";
import type { SolveAnswer, SweepAnswer, SweepPoint, Verdict } from "../core/answers.ts";
import { categoriesOf, colour } from "../parts/categories.ts";
import { grouped, inUnits } from "../state/text.ts";
import { BottomAxis, ByteAxis, FRAME as SHORT, LimitLine, type Frame, type Tick } from "./axes.tsx";
import { Legend } from "./legend.tsx";
import { linear, logarithmic, type Scale } from "./scale.ts";
import { useWidth } from "./use_width.ts";

const LABEL = 13; // a row of text above the plot
const BASE: Frame = { ...SHORT, height: SHORT.height + 2 * LABEL, top: SHORT.top + 2 * LABEL };
const HEADROOM = 2.2; // of the card or of what is asked, whichever is more: beyond it nobody looks

type Good = SweepPoint & { device_bytes: number; allocated_bytes: number; categories: Record<string, number> };
export const goodPoints = (answer: SweepAnswer): Good[] =>
  answer.sweep.points.filter((point): point is Good => point.device_bytes !== undefined);

export interface SweepPlotProps {
  answer: SweepAnswer;
  at: number | null; // the value now
  fits: Verdict | null;
  largest: SolveAnswer["solve"] | null;
  textbook: ReadonlySet<string>; // names of the lines to draw
  onValue(value: number): void;
}

const nearest = (points: Good[], value: number): number =>
  points.reduce((best, point, i) => {
    const distance = (each: Good | undefined): number => Math.abs(Math.log((each?.value ?? 1) / value));
    return distance(point) < distance(points[best]) ? i : best;
  }, 0);

function ticksOf(points: Good[], x: Scale): Tick[] {
  const ticks: Tick[] = [];
  let last = -Infinity;
  for (const { value } of points) {
    const round = Number.isInteger(Math.log2(value));
    if (!round || x(value) - last < 46) continue;
    last = x(value);
    ticks.push({ at: last, text: grouped(value) });
  }
  return ticks;
}

/** The points worth showing: none beyond the first that passes the headroom. */
function inSight(points: Good[], most: number): Good[] {
  const beyond = points.findIndex((point) => point.device_bytes > most);
  return beyond < 0 ? points : points.slice(0, Math.max(2, beyond + 1));
}

function Areas({ points, x, y }: { points: Good[]; x: Scale; y: Scale }) {
  const layers = stack<Good>()
    .keys(categoriesOf(points))
    .value((point, name) => point.categories[name] ?? 0)(points);
  const shape = area<[number, number] & { data: Good }>()
    .x((each) => x(each.data.value))
    .y0((each) => y(each[0]))
    .y1((each) => y(each[1]));
  const outside = area<Good>()
    .x((point) => x(point.value))
    .y0((point) => y(point.allocated_bytes))
    .y1((point) => y(point.device_bytes));
  return (
    <g>
      {layers.map((layer) => (
        <path
          class="layer"
          d={shape(layer as unknown as ([number, number] & { data: Good })[]) ?? ""}
          style={{ fill: colour(layer.key) }}
        />
      ))}
      <path d={outside(points) ?? ""} class="outside" />
    </g>
  );
}

function TextbookLines({ answer, points, names, x, y }: { answer: SweepAnswer; points: Good[]; names: ReadonlySet<string>; x: Scale; y: Scale }) {
  return (
    <g class="textbook">
      {answer.sweep.textbook.map((row, i) => {
        if (!names.has(row.name)) return null;
        const shape = line<Good>()
          .defined((point) => (point.textbook_bytes?.[i] ?? 0) > 0)
          .x((point) => x(point.value))
          .y((point) => y(point.textbook_bytes?.[i] ?? 0));
        return <path d={shape(points) ?? ""} class={`line${i % 6}`} />;
      })}
    </g>
  );
}

/** A line at a value, from its text in a row above the plot down to the axis. */
function Mark({ x, row, text, kind, frame }: { x: number; row: 0 | 1; text: string; kind: string; frame: Frame }) {
  const top = row * LABEL;
  const end = x > frame.width / 2;
  return (
    <g class={`mark ${kind}`}>
      <line x1={x} x2={x} y1={top} y2={frame.height - frame.bottom} />
      <text x={end ? x - 5 : x + 5} y={top + 10} text-anchor={end ? "end" : "start"}>
        {text}
      </text>
    </g>
  );
}

export function SweepPlot({ answer, at, fits, largest, textbook, onValue }: SweepPlotProps) {
  const [cursor, setCursor] = useState<number | null>(null);
  const { box, width } = useWidth(BASE.width);
  const FRAME = { ...BASE, width };
  const { over } = answer.sweep;
  const all = goodPoints(answer);
  const now = at === null ? undefined : all[nearest(all, at)];
  const most = HEADROOM * Math.max(fits?.capacity_bytes ?? 0, now?.device_bytes ?? 0);
  const points = inSight(all, most);
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last) return null;
  const top = Math.min(Math.max(...points.map((point) => point.device_bytes), (fits?.capacity_bytes ?? 0) * 1.08), most || Infinity);
  const x = logarithmic([first.value, Math.max(last.value, first.value + 1)], [FRAME.left, FRAME.width - FRAME.right]);
  const y = linear([0, top], [FRAME.height - FRAME.bottom, FRAME.top]);
  const base = FRAME.height - FRAME.bottom;
  const index = cursor ?? (at === null ? 0 : nearest(points, at));
  const seen = points[Math.min(index, points.length - 1)] ?? first;
  const told = `${over} ${grouped(seen.value)}: ${inUnits(seen.allocated_bytes)} allocated, about ${inUnits(seen.device_bytes)} on the device`;
  const within = (value: number): boolean => value >= first.value && value <= last.value;

  const onMove = (event: PointerEvent & { currentTarget: SVGSVGElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * FRAME.width;
    setCursor(nearest(points, x.invert(Math.max(FRAME.left, Math.min(FRAME.width - FRAME.right, at)))));
  };
  const onKey = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: points.length - 1 };
    const to = moves[event.key];
    if (to !== undefined) setCursor(Math.max(0, Math.min(points.length - 1, to)));
    else if (event.key === "Enter") onValue(seen.value);
    else return;
    event.preventDefault();
  };

  return (
    <>
      <div class="canvas" ref={box}>
      <svg
        viewBox={`0 0 ${FRAME.width} ${FRAME.height}`}
        class="plot"
        role="slider"
        tabindex={0}
        aria-label={`memory against ${over}; Enter takes a value`}
        aria-valuemin={first.value}
        aria-valuemax={last.value}
        aria-valuenow={seen.value}
        aria-valuetext={told}
        onPointerMove={onMove}
        onPointerLeave={() => setCursor(null)}
        onClick={() => onValue(seen.value)}
        onKeyDown={onKey}
      >
        <clipPath id="sight">
          <rect x={FRAME.left} y={FRAME.top} width={FRAME.width - FRAME.left - FRAME.right} height={base - FRAME.top} />
        </clipPath>
        <ByteAxis y={y} most={top} frame={FRAME} />
        <g clip-path="url(#sight)">
          <Areas points={points} x={x} y={y} />
          <TextbookLines answer={answer} points={points} names={textbook} x={x} y={y} />
        </g>
        <BottomAxis ticks={ticksOf(points, x)} title={`${over}, on a logarithmic scale`} frame={FRAME} />
        {fits && <LimitLine y={y} bytes={fits.capacity_bytes} text={`${fits.gpu}, ${inUnits(fits.capacity_bytes)}`} frame={FRAME} />}
        {largest && within(largest.value) && (
          <Mark x={x(largest.value)} row={0} text={`${grouped(largest.value)} fits`} kind="largest" frame={FRAME} />
        )}
        {at !== null && within(at) && <Mark x={x(at)} row={1} text={grouped(at)} kind="now" frame={FRAME} />}
        {cursor !== null && <line class="cursor" x1={x(seen.value)} x2={x(seen.value)} y1={FRAME.top} y2={base} />}
      </svg>
      </div>
      <Legend categories={categoriesOf(points)} outside />
      <figcaption>{told}
        {seen.fits && `, ${seen.fits.verdict}`}</figcaption>
    </>
  );
}
