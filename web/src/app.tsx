// The page: the set-up on the left, the answer beside it.
import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import { failed, type Answer, type ConfigAnswer, type ModelRow, type Problem } from "./core/answers.ts";
import type { Core } from "./core/core.ts";
import { AnswerLine } from "./parts/answer_line.tsx";
import { CardsStrip } from "./parts/cards.tsx";
import { CopyBar } from "./parts/copy_bar.tsx";
import { idOf } from "./parts/field.tsx";
import { FitPanel } from "./parts/fit.tsx";
import { FitMap } from "./parts/fit_map.tsx";
import { fieldOf, Form, sizeIn, type Tables } from "./parts/form.tsx";
import { FormulaPanel } from "./parts/formula.tsx";
import { HighlightContext } from "./parts/highlight.ts";
import { LedgerPanel } from "./parts/ledger.tsx";
import { Notes } from "./parts/notes.tsx";
import { PinnedPanel } from "./parts/pinned.tsx";
import { SweepPanel } from "./parts/sweep.tsx";
import { TimelinePanel } from "./parts/timeline.tsx";
import { VerdictPanel } from "./parts/verdict.tsx";
import { useCompare, useConfig, useFormula, useInBatch, useLargest, useReport, useSweep, useTimeline } from "./state/ask.ts";
import { onOneCard, severalCards, useAdvice, useCards, useMap } from "./state/ask_cards.ts";
import { useIdle } from "./state/idle.ts";
import { useLater } from "./state/later.ts";
import { lettersOf, writeLetters } from "./state/letters.ts";
import { FIRST, sameSetup, subjectOf, toHash, type Setup } from "./state/setup.ts";
import { useHashState } from "./state/use_state.ts";

const rowsOf = <T,>(core: Core, command: string): T[] => {
  const table: Answer<Record<string, T[]>> = core.ask({ command });
  return failed(table) ? [] : ((table as Record<string, T[]>)[command] ?? []);
};
const readTables = (core: Core): Tables => ({
  options: rowsOf(core, "options"),
  gpus: rowsOf(core, "gpus"),
});

/** The set-up as the model alone has it: sizes that are no option of their own stay where they describe it. */
const bareOf = (setup: Setup): Setup => (setup.config || setup.model !== null ? { ...setup, options: {} } : setup);

/** The field that a problem concerns, if it is one of the form. */
function placeOf(problem: Problem, tables: Tables): string | null {
  const name = fieldOf(problem);
  return name === "model" || tables.options.some((row) => row.name === name) ? name : null;
}

const BATCHES = [1, 2, 4, 8, 16, 32, 64]; // of the map
/** Lengths of the map: the model's own, and in halves and doubles of it. */
const lengthsAround = (own: number): number[] => [own / 4, own / 2, own, own * 2, own * 4].map(Math.round).filter((each) => each > 1);

const NO_MODELS: ModelRow[] = [];

export function App({ core }: { core: Core }) {
  const { state, setSetup, setOption, setView, undo } = useHashState();
  const { view } = state;
  const several = severalCards(state.setup);
  const setup = useMemo(() => onOneCard(state.setup), [state.setup]);
  const tables = useMemo(() => readTables(core), [core]);
  const models = useLater("models", async () => ({ value: rowsOf<ModelRow>(core, "models"), done: true })).value ?? NO_MODELS;
  const { report, answered, problem } = useReport(core, setup);
  const key = useMemo(() => toHash({ setup: answered, view: { ...FIRST.view, pins: view.pins } }), [answered, view.pins]);
  const config = useConfig(core, setup);
  const bare = useConfig(core, useMemo(() => bareOf(setup), [setup.model, setup.config, setup.model === null && setup.config === null ? setup : null]));
  const sizes = useMemo(
    () => tables.options.filter((row) => row.kind === "size" && row.symbol && sizeIn(config, row.name) !== null).map((row) => row.name),
    [tables, config],
  );
  const now = sizeIn(config, view.over);
  const letters = writeLetters(lettersOf(answered, view.letters));
  const formula = useFormula(core, tables.options, answered, letters, key);
  const inBatch = useInBatch(core, tables.options, answered, sizeIn(config, "batch") === 1, letters, key);
  const largest = useLargest(core, tables.options, answered, view.over, key);
  const swept = useSweep(core, tables.options, answered, view.over, sizeIn(bare, view.over) ?? now ?? 16, now, key);
  const timeline = useTimeline(core, tables.options, answered, key);
  const compared = useCompare(core, tables.options, view.pins, answered, key);
  const latest = useRef(setup);
  latest.current = setup;
  const gpu = answered.options["gpu"] ?? "";
  const cards = useCards(core, answered, several, key);
  const batch = sizeIn(config, "batch");
  const seq = sizeIn(config, "seq");
  const where = useMemo(() => ({ batch, seq }), [batch, seq]);
  const lengths = useMemo(() => lengthsAround(sizeIn(bare, "seq") ?? 1024), [bare]);
  const map = useMap(core, tables.options, answered, BATCHES, lengths, key);
  const [fitting, setFitting] = useState<string | null>(null);
  const advice = useAdvice(core, tables.options, answered, fitting === key, key);
  const onTake = useCallback(
    (options: Readonly<Record<string, string>>) => setSetup({ ...latest.current, options: { ...latest.current.options, ...options } }),
    [],
  );
  const [lit, setLit] = useState<readonly string[]>([]);
  const highlight = useMemo(() => ({ monomials: new Set(lit), light: setLit }), [lit]);
  const idle = useIdle(core, tables.options, setup);
  const check = useCallback(
    (asked: Setup): Problem | null => {
      const answer = core.ask<ConfigAnswer>({ command: "config", ...subjectOf(asked) });
      return failed(answer) ? answer.error : null;
    },
    [core],
  );
  const isPinned = view.pins.some((pin) => sameSetup(pin, setup));
  const place = problem && placeOf(problem, tables);

  return (
    <HighlightContext.Provider value={highlight}>
      <header class="top">
        <a class="skip" href="#answer" onClick={(event) => { event.preventDefault(); document.getElementById("answer")?.focus(); }}>
          Skip to the answer
        </a>
        <h1>Peakmem</h1>
        <p>How much memory will training this Transformer need, and why?</p>
        {report && <AnswerLine report={report} />}
        <div class="actions">
          <button type="button" disabled={!undo} onClick={() => undo?.()}>
            Undo
          </button>
          <button type="button" aria-pressed={isPinned} onClick={() => !isPinned && setView({ pins: [...view.pins, setup] })}>
            Pin this set-up
          </button>
          <CopyBar state={state} report={report} formula={formula.value} />
        </div>
      </header>
      <Form
        tables={tables}
        models={models}
        letters={view.letters}
        setup={setup}
        config={config}
        bare={bare}
        problem={problem}
        idle={idle}
        check={check}
        onSetup={setSetup}
        onOption={setOption}
      />
      <main class={problem ? "wrong" : ""}>
        <p class="problem-line" role="alert">
          {problem && (!place || !report) && `${problem.field}: ${problem.problem}${problem.hint ? `. ${problem.hint}` : ""}`}
          {place && !report && <button type="button" onClick={() => document.getElementById(idOf(place))?.focus()}>Go to the field</button>}
        </p>
        {report && (
          <div class="column">
            <VerdictPanel report={report} title="The peak" />
            <section class="panel" aria-label="On other cards">
              <CardsStrip answer={cards} chosen={gpu} onOption={setOption} />
            </section>
            {report.fits && report.fits.verdict !== "fits" && (
              <FitPanel answer={advice} wanted={fitting === key} onWant={() => setFitting(key)} onTake={onTake} />
            )}
            {view.pins.length > 0 && (
              <PinnedPanel
                pins={view.pins}
                answer={compared}
                onSwap={(pin) => { setSetup(pin); setView({ pins: view.pins.map((each) => (each === pin ? setup : each)) }); }}
                onDrop={(pin) => setView({ pins: view.pins.filter((each) => each !== pin) })}
              />
            )}
            <FormulaPanel
              answer={formula}
              inBatch={inBatch}
              ledger={report.ledger}
              exact={view.exact}
              letters={view.letters}
              onView={setView}
            />
            <LedgerPanel report={report} as={view.ledger} onView={setView} />
          </div>
        )}
        {report && (
          <div class="column">
            <SweepPanel
              over={view.over}
              choices={sizes}
              answer={swept}
              largest={largest.stale ? null : largest.value}
              at={now}
              fits={report.fits}
              onView={setView}
              onOption={setOption}
            />
            {gpu && <FitMap answer={map} batches={BATCHES} gpu={gpu} now={where} onTake={onTake} />}
            <TimelinePanel answer={timeline} fits={report.fits} />
            <Notes report={report} onOption={setOption} />
          </div>
        )}
      </main>
    </HighlightContext.Provider>
  );
}
