// The page: the set-up on the left, the answer beside it.
import { useCallback, useMemo, useState } from "preact/hooks";
import { failed, type Answer, type ConfigAnswer, type ModelRow, type Problem } from "./core/answers.ts";
import type { Core } from "./core/core.ts";
import type { Tables } from "./core/tables.ts";
import { AnswerColumns } from "./parts/answer_columns.tsx";
import { AnswerLine } from "./parts/answer_line.tsx";
import { CopyBar } from "./parts/copy_bar.tsx";
import { idOf } from "./parts/field.tsx";
import { fieldOf, Form } from "./parts/form.tsx";
import { HighlightContext } from "./parts/highlight.ts";
import { useLater } from "./state/later.ts";
import { sameSetup, subjectOf, type Setup } from "./state/setup.ts";
import { useAnswers, type Answers } from "./state/use_answers.ts";
import { useHashState, type Shared } from "./state/use_state.ts";

const rowsOf = <T,>(core: Core, command: string): T[] => {
  const table: Answer<Record<string, T[]>> = core.ask({ command });
  return failed(table) ? [] : ((table as Record<string, T[]>)[command] ?? []);
};
const readTables = (core: Core): Tables => ({
  options: rowsOf(core, "options"),
  gpus: rowsOf(core, "gpus"),
});

/** The field that a problem concerns, if it is one of the form. */
function placeOf(problem: Problem, tables: Tables): string | null {
  const name = fieldOf(problem);
  return name === "model" || tables.options.some((row) => row.name === name) ? name : null;
}

const NO_MODELS: ModelRow[] = [];

function Top({ shared, answers }: { shared: Shared; answers: Answers }) {
  const { state, setView, undo } = shared;
  const { setup, report, formula } = answers;
  const isPinned = state.view.pins.some((pin) => sameSetup(pin, setup));
  return (
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
        <button
          type="button"
          aria-pressed={isPinned}
          onClick={() => !isPinned && setView({ pins: [...state.view.pins, setup] })}
        >
          Pin this set-up
        </button>
        <CopyBar state={state} report={report} formula={formula.value} />
      </div>
    </header>
  );
}

/** What is wrong, where no field says it in sight: the last answer stands, or there is none. */
function ProblemLine({ problem, place, broken, bare }: { problem: Problem | null; place: string | null; broken: string; bare: boolean }) {
  return (
    <p class="problem-line" role="alert">
      {problem && (!place || bare) && `${problem.field}: ${problem.problem}${problem.hint ? `. ${problem.hint}` : ""}`}
      {!problem && broken}
      {place && bare && (
        <button type="button" onClick={() => document.getElementById(idOf(place))?.focus()}>
          Go to the field
        </button>
      )}
    </p>
  );
}

export function App({ core }: { core: Core }) {
  const shared = useHashState();
  const { state, setSetup, setOption } = shared;
  const tables = useMemo(() => readTables(core), [core]);
  const models = useLater("models", async () => ({ value: rowsOf<ModelRow>(core, "models"), done: true })).value ?? NO_MODELS;
  const answers = useAnswers(core, tables, state);
  const { report, problem } = answers;
  const [lit, setLit] = useState<readonly string[]>([]);
  const highlight = useMemo(() => ({ monomials: new Set(lit), light: setLit }), [lit]);
  const check = useCallback(
    (asked: Setup): Problem | null => {
      const answer = core.ask<ConfigAnswer>({ command: "config", ...subjectOf(asked) });
      return failed(answer) ? answer.error : null;
    },
    [core],
  );
  const place = problem && placeOf(problem, tables);
  return (
    <HighlightContext.Provider value={highlight}>
      <Top shared={shared} answers={answers} />
      <Form
        tables={tables}
        models={models}
        letters={state.view.letters}
        setup={answers.setup}
        config={answers.config}
        bare={answers.bare}
        problem={problem}
        idle={answers.idle}
        check={check}
        onSetup={setSetup}
        onOption={setOption}
      />
      <main class={problem ? "wrong" : ""}>
        <ProblemLine problem={problem} place={place} broken={state.broken} bare={report === null} />
        {report && <AnswerColumns answers={answers} report={report} view={state.view} shared={shared} />}
      </main>
    </HighlightContext.Provider>
  );
}
