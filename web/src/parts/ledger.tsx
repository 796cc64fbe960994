// What lives at the peak: rows by category that sum to it, as bars or as areas.
import { useState } from "preact/hooks";
import type { LedgerRow, Report } from "../core/answers.ts";
import { Treemap } from "../draw/treemap.tsx";
import { grouped, inUnits, percent } from "../state/text.ts";
import { colour } from "./categories.ts";
import { useHighlight } from "./highlight.ts";
import { memo } from "../state/memo.ts";
import type { View } from "../state/setup.ts";

const FIRST_ROWS = 6; // of a category, until it is opened

const keyOf = (row: LedgerRow): string => `${row.category} ${row.name} ${row.formula}`;

function Row({ row, most, open, onOpen }: { row: LedgerRow; most: number; open: boolean; onOpen(): void }) {
  const { class: lit, on } = useHighlight()(row.monomials ?? []);
  return (
    <li class={`row ${lit}`}>
      <button type="button" aria-expanded={open} onClick={onOpen} {...on}>
        <span class="name">
          <bdi>{row.name}</bdi>
        </span>
        <span class="count">{row.count > 1 && `×${grouped(row.count)}`}</span>
        <span class="track" aria-hidden="true">
          <i style={{ width: `${(100 * row.bytes) / most}%`, background: colour(row.category) }} />
        </span>
        <span class="number">{inUnits(row.bytes)}</span>
      </button>
      {open && (
        <div class="why">
          <p class="mono">{row.formula}</p>
          <p>{row.why}</p>
          <p class="muted">{grouped(row.bytes)} bytes</p>
        </div>
      )}
    </li>
  );
}

function Category({ rows, name, bytes, report }: { rows: LedgerRow[]; name: string; bytes: number; report: Report }) {
  const [all, setAll] = useState(false);
  const [opened, setOpened] = useState<string | null>(null);
  const most = Math.max(...report.ledger.map((row) => row.bytes));
  const shown = all ? rows : rows.slice(0, FIRST_ROWS);
  return (
    <section class="category" aria-label={name}>
      <h3>
        <i class="swatch" style={{ background: colour(name) }} />
        {name}
        <span class="number">{inUnits(bytes)}</span>
        <span class="number muted">{percent(bytes / report.peak.allocated_bytes)}</span>
      </h3>
      <ul>
        {shown.map((row) => (
          <Row
            key={keyOf(row)}
            row={row}
            most={most}
            open={opened === keyOf(row)}
            onOpen={() => setOpened(opened === keyOf(row) ? null : keyOf(row))}
          />
        ))}
      </ul>
      {rows.length > FIRST_ROWS && (
        <button type="button" class="more" onClick={() => setAll(!all)}>
          {all ? "fewer" : `${rows.length - FIRST_ROWS} more of ${name}`}
        </button>
      )}
    </section>
  );
}

export interface LedgerProps {
  report: Report;
  as: "bars" | "map";
  onView(view: Partial<View>): void;
}

export const LedgerPanel = memo(({ report, as, onView }: LedgerProps) => {
  return (
    <section class="panel ledger" aria-labelledby="ledger-title">
      <header>
        <h2 id="ledger-title">Ledger</h2>
        <span class="muted">at the peak, {inUnits(report.peak.allocated_bytes)} in all</span>
        <div class="choice" role="group" aria-label="Ledger as">
          {(["bars", "map"] as const).map((each) => (
            <button type="button" aria-pressed={as === each} onClick={() => onView({ ledger: each })}>
              {each}
            </button>
          ))}
        </div>
      </header>
      {as === "map" && <Treemap report={report} />}
      {as === "bars" &&
        Object.entries(report.categories).map(([name, bytes]) => (
          <Category
            key={name}
            name={name}
            bytes={bytes}
            report={report}
            rows={report.ledger.filter((row) => row.category === name)}
          />
        ))}
    </section>
  );
});
