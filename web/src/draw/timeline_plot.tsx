// Memory over the steady step, event by event, with its phases.
import { area, curveStepAfter } from "d3-shape";
import { useMemo, useState } from "preact/hooks";
import type { TimelineAnswer, Verdict } from "../core/answers.ts";
import { grouped, inUnits } from "../state/text.ts";
import { BottomAxis, ByteAxis, FRAME, LimitLine, type Frame } from "./axes.tsx";
import { linear } from "./scale.ts";
import { useWidth } from "./use_width.ts";

const BASE: Frame = { ...FRAME, height: 206, bottom: 40 };

export function TimelinePlot({ timeline, fits }: { timeline: TimelineAnswer["timeline"]; fits: Verdict | null }) {
  const [cursor, setCursor] = useState<number | null>(null);
  const { box, width } = useWidth(BASE.width);
  const SHORT = { ...BASE, width };
  const { event: events, bytes } = timeline.points;
  const capacity = fits?.capacity_bytes ?? 0;
  const top = Math.max(timeline.peak.bytes, capacity <= 2 * timeline.peak.bytes ? capacity : 0) * 1.08;
  const x = linear([0, Math.max(1, timeline.events)], [SHORT.left, SHORT.width - SHORT.right]);
  const y = linear([0, top], [SHORT.height - SHORT.bottom, SHORT.top]);
  const base = SHORT.height - SHORT.bottom;
  const curve = useMemo(() => {
    const shape = area<number>()
      .curve(curveStepAfter)
      .x((i) => x(events[i] ?? 0))
      .y0(base)
      .y1((i) => y(bytes[i] ?? 0));
    return shape(events.map((_, i) => i)) ?? "";
  }, [timeline, top, width]);
  const phaseAt = (at: number): string =>
    timeline.phases.find((phase) => at >= phase.first && at < phase.last)?.name ?? timeline.peak.phase;
  const seen = cursor ?? Math.max(0, events.indexOf(timeline.peak.event));
  const told = `event ${grouped(events[seen] ?? 0)} of ${grouped(timeline.events)}, ${phaseAt(events[seen] ?? 0)}: ${inUnits(bytes[seen] ?? 0)} allocated`;
  const step = Math.max(1, Math.round(events.length / 100));

  const onMove = (event: PointerEvent & { currentTarget: SVGSVGElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = x.invert(((event.clientX - box.left) / box.width) * SHORT.width);
    const after = events.findIndex((each) => each > at);
    setCursor(Math.max(0, (after < 0 ? events.length : after) - 1));
  };
  const onKey = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowLeft: seen - step, ArrowRight: seen + step, Home: 0, End: events.length - 1 };
    const to = moves[event.key];
    if (to === undefined) return;
    setCursor(Math.max(0, Math.min(events.length - 1, to)));
    event.preventDefault();
  };

  return (
    <>
      <div class="canvas" ref={box}>
      <svg
        viewBox={`0 0 ${SHORT.width} ${SHORT.height}`}
        class="plot timeline"
        role="slider"
        tabindex={0}
        aria-label="memory over the steady step"
        aria-valuemin={0}
        aria-valuemax={timeline.events}
        aria-valuenow={events[seen] ?? 0}
        aria-valuetext={told}
        onPointerMove={onMove}
        onPointerLeave={() => setCursor(null)}
        onKeyDown={onKey}
      >
        {timeline.phases.map((phase, i) => {
          const [from, to] = [x(phase.first), x(phase.last)];
          return (
            <g class={`phase ${i % 2 ? "odd" : "even"}`}>
              <rect x={from} y={SHORT.top} width={Math.max(0, to - from)} height={base - SHORT.top} />
              {to - from > 6.5 * phase.name.length && (
                <text x={(from + to) / 2} y={base + 15} text-anchor="middle">
                  {phase.name}
                </text>
              )}
            </g>
          );
        })}
        <ByteAxis y={y} most={top} frame={SHORT} />
        <BottomAxis ticks={[]} title="allocations and releases of a step, in their order" frame={SHORT} />
        <path class="curve" d={curve} />
        {fits && capacity <= top && <LimitLine y={y} bytes={capacity} text={`${fits.gpu}, ${inUnits(capacity)}`} frame={SHORT} />}
        <circle class="peak" cx={x(timeline.peak.event)} cy={y(timeline.peak.bytes)} r={4} />
        {cursor !== null && <line class="cursor" x1={x(events[seen] ?? 0)} x2={x(events[seen] ?? 0)} y1={SHORT.top} y2={base} />}
      </svg>
      </div>
      <figcaption>{told}</figcaption>
    </>
  );
}
