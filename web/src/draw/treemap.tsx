// The ledger as areas, category by category.
import { hierarchy, treemap, treemapSquarify } from "d3-hierarchy";
import { useState } from "preact/hooks";
import type { LedgerRow, Report } from "../core/answers.ts";
import { colour } from "../parts/categories.ts";
import { useHighlight } from "../parts/highlight.ts";
import { grouped, inUnits } from "../state/text.ts";
import { Save } from "./save.tsx";
import { useWidth } from "./use_width.ts";

const USUAL = 600;
const HEIGHT = 420;
const CHARACTER = 7.5; // of the small text, on average

interface Node {
  row?: LedgerRow;
  children?: Node[];
}

function tree(ledger: LedgerRow[]): Node {
  const categories = new Map<string, Node[]>();
  for (const row of ledger) categories.set(row.category, [...(categories.get(row.category) ?? []), { row }]);
  return { children: [...categories.values()].map((children) => ({ children })) };
}

/** The end of a name that has room. */
const fitting = (name: string, width: number): string => {
  const room = Math.floor((width - 8) / CHARACTER);
  return name.length <= room ? name : room < 6 ? "" : `…${name.slice(1 - room)}`;
};

export function Treemap({ report }: { report: Report }) {
  const [chosen, setChosen] = useState<LedgerRow | null>(null);
  const highlight = useHighlight();
  const { box, width: WIDTH } = useWidth(USUAL);
  const root = hierarchy(tree(report.ledger)).sum((node) => node.row?.bytes ?? 0);
  const laid = treemap<Node>().size([WIDTH, HEIGHT]).tile(treemapSquarify.ratio(1.2)).paddingInner(1).round(true)(root);
  return (
    <figure class="draw">
      <Save name="ledger" />
      <div class="canvas" ref={box}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label="Ledger as areas">
        {laid.leaves().map((leaf) => {
          const row = leaf.data.row;
          if (!row || leaf.x1 <= leaf.x0 || leaf.y1 <= leaf.y0) return null;
          const { class: lit, on } = highlight(row.monomials ?? []);
          const [width, height] = [leaf.x1 - leaf.x0, leaf.y1 - leaf.y0];
          const told = `${row.category}: ${row.name}, ${inUnits(row.bytes)}`;
          const choose = (): void => setChosen(row);
          return (
            <g
              class={`cell ${lit}`}
              transform={`translate(${leaf.x0},${leaf.y0})`}
              tabindex={0}
              role="img"
              aria-label={told}
              {...on}
              onClick={choose}
              onFocusIn={choose}
            >
              <title>{told}</title>
              <rect width={width} height={height} style={{ fill: colour(row.category) }} />
              {height > 17 && width > 50 && (
                <text x={4} y={13}>
                  {fitting(row.name, width)}
                </text>
              )}
              {height > 32 && width > 8 + CHARACTER * inUnits(row.bytes).length && (
                <text x={4} y={27} class="soft">
                  {inUnits(row.bytes)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      </div>
      <figcaption aria-live="polite">
        {chosen ? (
          <>
            <strong>{chosen.name}</strong> ×{grouped(chosen.count)} · {inUnits(chosen.bytes)} ·{" "}
            <span class="mono">{chosen.formula}</span> · {chosen.why}
          </>
        ) : (
          "Choose an area for its formula and its reason."
        )}
      </figcaption>
    </figure>
  );
}
