// Questions about cards: what fits on which, which batch and length fit on one, and what would make it fit.
import { failed, type AdviceAnswer, type Answer, type CardRow, type CardsAnswer, type OptionRow, type Problem, type SweepAnswer, type SweepPoint } from "../core/answers.ts";
import type { Core } from "../core/core.ts";
import { subjectFor } from "./ask.ts";
import { useLater, type Later } from "./later.ts";
import { subjectOf, withOption, type Setup } from "./setup.ts";

const CARDS = "t4,rtx-4090,a100-40gb,a100-80gb,h100-80gb,h200,b200";

/** Several cards asked for ("t4,l4"), or none. */
export const severalCards = (setup: Setup): string | null => (setup.options["gpu"]?.includes(",") ? setup.options["gpu"] : null);
/** The set-up on the first of its cards, of which all else is. */
export const onOneCard = (setup: Setup): Setup =>
  severalCards(setup) === null ? setup : withOption(setup, "gpu", setup.options["gpu"]?.split(",")[0]?.trim() ?? "");

/** The set-up on the cards asked for, or on a choice of them. */
export function useCards(core: Core, setup: Setup, several: string | null, key: string): Later<CardRow[]> {
  return useLater<CardRow[]>(`cards ${several} ${key}`, async () => {
    const asked = withOption(setup, "gpu", several ?? CARDS);
    const answer: Answer<CardsAnswer> = await core.later<CardsAnswer>({ command: "estimate", ...subjectOf(asked) });
    return { value: failed(answer) ? [] : answer.cards.rows, done: true };
  });
}

/** A row of the map: a length, and points over the batch. */
export interface MapRow {
  seq: number;
  points: SweepPoint[];
}

/** Batch against length, a row at a time; nothing without a card. */
export function useMap(
  core: Core,
  rows: readonly OptionRow[],
  setup: Setup,
  batches: readonly number[],
  lengths: readonly number[],
  key: string,
): Later<MapRow[]> {
  const bare = ["batch", "seq"].reduce((left, name) => withOption(left, name, ""), setup);
  return useLater<MapRow[]>(`map ${batches.join()} ${lengths.join()} ${key}`, async (soFar) => {
    const found = soFar ?? [];
    const seq = lengths[found.length];
    if (!setup.options["gpu"] || seq === undefined) return { value: found, done: true };
    const subject = subjectFor("sweep", rows, withOption(bare, "seq", String(seq)), { over: "batch", values: batches.join() });
    const answer: Answer<SweepAnswer> = await core.later<SweepAnswer>({ command: "sweep", ...subject });
    const value = [...found, { seq, points: failed(answer) ? [] : answer.sweep.points }];
    return { value, done: value.length === lengths.length };
  });
}

export interface Advised {
  advice: AdviceAnswer["advice"] | null;
  problem: Problem | null;
}

/** What would make it fit, where it is wanted. */
export function useAdvice(core: Core, rows: readonly OptionRow[], setup: Setup, wanted: boolean, key: string): Later<Advised> {
  return useLater<Advised>(`advice ${wanted} ${wanted ? key : ""}`, async () => {
    if (!wanted) return { value: { advice: null, problem: null }, done: true };
    const answer: Answer<AdviceAnswer> = await core.later<AdviceAnswer>({ command: "advise", ...subjectFor("advise", rows, setup) });
    return { value: failed(answer) ? { advice: null, problem: answer.error } : { advice: answer.advice, problem: null }, done: true };
  });
}
