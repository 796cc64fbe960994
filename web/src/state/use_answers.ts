// All that is asked of the core about a set-up as it is shown.
import { useMemo, useState } from "preact/hooks";
import type { Core } from "../core/core.ts";
import { sizeIn, type Tables } from "../core/tables.ts";
import { useCompare, useConfig, useFormula, useInBatch, useLargest, useReport, useSweep, useTimeline } from "./ask.ts";
import { onOneCard, severalCards, useAdvice, useCards, useMap } from "./ask_cards.ts";
import { useIdle } from "./idle.ts";
import { lettersOf, writeLetters } from "./letters.ts";
import { FIRST, toHash, type Setup, type State } from "./setup.ts";

const BATCHES = [1, 2, 4, 8, 16, 32, 64]; // of the map
const USUAL_SEQ = 1024;
/** Lengths of the map: the model's own, and in halves and doubles of it. */
const lengthsAround = (own: number): number[] => [own / 4, own / 2, own, own * 2, own * 4].map(Math.round).filter((each) => each > 1);

const bySizes = (setup: Setup): boolean => setup.model === null && setup.config === null;
/** The set-up as the model alone has it: sizes that are no option of their own stay where they describe it. */
const bareOf = (setup: Setup): Setup => (bySizes(setup) ? setup : { ...setup, options: {} });

/** The estimate at once, its set-up on one card, and what its sizes are. */
function useEstimate(core: Core, tables: Tables, { setup: asked, view }: State) {
  const setup = useMemo(() => onOneCard(asked), [asked]);
  const { report, answered, problem } = useReport(core, setup);
  const config = useConfig(core, setup);
  const bare = useConfig(core, useMemo(() => bareOf(setup), [setup.model, setup.config, bySizes(setup) ? setup : null]));
  const sizes = useMemo(
    () => tables.options.filter((row) => row.kind === "size" && row.symbol && sizeIn(config, row.name) !== null).map((row) => row.name),
    [tables, config],
  );
  const [batch, seq] = ["batch", "seq"].map((name) => sizeIn(config, name)) as [number | null, number | null];
  const where = useMemo(() => ({ batch, seq }), [batch, seq]);
  return { setup, report, answered, problem, config, bare, sizes, where, now: sizeIn(config, view.over) };
}

/** What follows, from the worker. Wishes are granted in this order. */
export function useAnswers(core: Core, tables: Tables, state: State) {
  const { view } = state;
  const { options } = tables;
  const estimate = useEstimate(core, tables, state);
  const { setup, answered, config, bare, now } = estimate;
  const key = useMemo(() => toHash({ setup: answered, view: { ...FIRST.view, pins: view.pins } }), [answered, view.pins]);
  const letters = writeLetters(lettersOf(answered, view.letters));
  const lengths = useMemo(() => lengthsAround(sizeIn(bare, "seq") ?? USUAL_SEQ), [bare]);
  const [fitting, setFitting] = useState<string | null>(null);
  return {
    ...estimate,
    batches: BATCHES,
    fitting: fitting === key,
    onFit: () => setFitting(key),
    formula: useFormula(core, options, answered, letters, key),
    inBatch: useInBatch(core, options, answered, sizeIn(config, "batch") === 1, letters, key),
    largest: useLargest(core, options, answered, view.over, key),
    swept: useSweep(core, options, answered, view.over, sizeIn(bare, view.over) ?? now ?? 16, now, key),
    timeline: useTimeline(core, options, answered, key),
    compared: useCompare(core, options, view.pins, answered, key),
    cards: useCards(core, answered, severalCards(state.setup), key),
    map: useMap(core, options, answered, BATCHES, lengths, key),
    advice: useAdvice(core, options, answered, fitting === key, key),
    idle: useIdle(core, options, setup),
  };
}
export type Answers = ReturnType<typeof useAnswers>;
