// The answer: what it is and why on the left, what else there could be on the right.
import { useCallback, useRef } from "preact/hooks";
import type { Report } from "../core/answers.ts";
import type { View } from "../state/setup.ts";
import type { Answers } from "../state/use_answers.ts";
import type { Shared } from "../state/use_state.ts";
import { CardsStrip } from "./cards.tsx";
import { FitPanel } from "./fit.tsx";
import { FitMap } from "./fit_map.tsx";
import { FormulaPanel } from "./formula.tsx";
import { LedgerPanel } from "./ledger.tsx";
import { Notes } from "./notes.tsx";
import { PinnedPanel } from "./pinned.tsx";
import { SweepPanel } from "./sweep.tsx";
import { TimelinePanel } from "./timeline.tsx";
import { VerdictPanel } from "./verdict.tsx";

export interface ColumnsProps {
  answers: Answers;
  report: Report;
  view: View;
  shared: Shared;
}

/** Options taken together, into the set-up that is shown then. */
function useTake({ setup }: Answers, { setSetup }: Shared): (options: Readonly<Record<string, string>>) => void {
  const latest = useRef(setup);
  latest.current = setup;
  return useCallback((options) => setSetup({ ...latest.current, options: { ...latest.current.options, ...options } }), []);
}

function What({ answers, report, view, shared }: ColumnsProps) {
  const { setSetup, setOption, setView } = shared;
  const onTake = useTake(answers, shared);
  return (
    <div class="column">
      <VerdictPanel report={report} title="The peak" />
      <section class="panel" aria-label="On other cards">
        <CardsStrip answer={answers.cards} chosen={answers.answered.options["gpu"] ?? ""} onOption={setOption} />
      </section>
      {report.fits && report.fits.verdict !== "fits" && (
        <FitPanel answer={answers.advice} wanted={answers.fitting} onWant={answers.onFit} onTake={onTake} />
      )}
      {view.pins.length > 0 && (
        <PinnedPanel
          pins={view.pins}
          answer={answers.compared}
          onSwap={(pin) => {
            setSetup(pin);
            setView({ pins: view.pins.map((each) => (each === pin ? answers.setup : each)) });
          }}
          onDrop={(pin) => setView({ pins: view.pins.filter((each) => each !== pin) })}
        />
      )}
      <FormulaPanel
        answer={answers.formula}
        inBatch={answers.inBatch}
        ledger={report.ledger}
        exact={view.exact}
        letters={view.letters}
        onView={setView}
      />
      <LedgerPanel report={report} as={view.ledger} onView={setView} />
    </div>
  );
}

function WhatElse({ answers, report, view, shared }: ColumnsProps) {
  const { setOption, setView } = shared;
  const onTake = useTake(answers, shared);
  const gpu = answers.answered.options["gpu"];
  return (
    <div class="column">
      <SweepPanel
        over={view.over}
        choices={answers.sizes}
        answer={answers.swept}
        largest={answers.largest.stale ? null : answers.largest.value}
        at={answers.now}
        fits={report.fits}
        onView={setView}
        onOption={setOption}
      />
      {gpu && <FitMap answer={answers.map} batches={answers.batches} gpu={gpu} now={answers.where} onTake={onTake} />}
      <TimelinePanel answer={answers.timeline} fits={report.fits} />
      <Notes report={report} onOption={setOption} />
    </div>
  );
}

export const AnswerColumns = (props: ColumnsProps) => (
  <>
    <What {...props} />
    <WhatElse {...props} />
  </>
);
