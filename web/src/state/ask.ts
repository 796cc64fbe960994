// The questions a set-up raises, as hooks: the estimate at once, all else after it is painted.
import { useMemo, useRef } from "preact/hooks";
import {
  failed,
  type Answer,
  type CompareAnswer,
  type ConfigAnswer,
  type FormulaAnswer,
  type OptionRow,
  type Problem,
  type Report,
  type SolveAnswer,
  type SweepAnswer,
  type SweepPoint,
  type TimelineAnswer,
} from "../core/answers.ts";
import type { Core, Subject } from "../core/core.ts";
import { useLater, type Later } from "./later.ts";
import { notches } from "./notches.ts";
import { subjectOf, withOption, type Setup } from "./setup.ts";

const SHORT = "5%"; // what the short formula may leave out
const POINTS_AT_ONCE = 2; // of a sweep, so that frames are painted in between

const good = <T extends object>(answer: Answer<T>): T | null => (failed(answer) ? null : answer);

/** The set-up as another command is asked it: without the options that only an estimate takes, with those of its own. */
export function subjectFor(command: string, rows: readonly OptionRow[], setup: Setup, more: Record<string, string> = {}): Subject {
  const taken = rows.filter((row) => !row.commands.includes(command)).reduce((left, row) => withOption(left, row.name, ""), setup);
  const subject = subjectOf(taken);
  return { ...subject, options: { ...subject.options, ...more } };
}

export interface Reported {
  report: Report | null;
  answered: Setup; // what the report is of
  problem: Problem | null;
}

/** The report, the last good one while there is a problem. */
export function useReport(core: Core, setup: Setup): Reported {
  const last = useRef<Reported>({ report: null, answered: setup, problem: null });
  const answer = useMemo(() => core.ask<Report>({ command: "estimate", ...subjectOf(setup) }), [core, setup]);
  if (failed(answer)) return { ...last.current, problem: answer.error };
  last.current = { report: answer, answered: setup, problem: null };
  return last.current;
}

export function useConfig(core: Core, setup: Setup): ConfigAnswer["config"] | null {
  const last = useRef<ConfigAnswer["config"] | null>(null);
  const answer = useMemo(() => good(core.ask<ConfigAnswer>({ command: "config", ...subjectOf(setup) })), [core, setup]);
  last.current = answer?.config ?? last.current;
  return last.current;
}

const once = <T>(value: T): { value: T; done: boolean } => ({ value, done: true });

export function useFormula(
  core: Core,
  rows: readonly OptionRow[],
  setup: Setup,
  letters: string,
  key: string,
): Later<FormulaAnswer | null> {
  return useLater(`formula ${letters} ${key}`, async () => {
    const subject = subjectFor("formula", rows, setup, { simplify: SHORT, ...(letters && { letters }) });
    return once(good(await core.later<FormulaAnswer>({ command: "formula", ...subject })));
  });
}

/** Where the batch is one sequence, which has no letter: the formula of larger ones. */
export function useInBatch(
  core: Core,
  rows: readonly OptionRow[],
  setup: Setup,
  isOne: boolean,
  letters: string,
  key: string,
): FormulaAnswer | null {
  return useLater(`in batch ${isOne} ${letters} ${key}`, async () => {
    if (!isOne) return once(null);
    const subject = subjectFor("formula", rows, withOption(setup, "batch", "2"), { simplify: SHORT, ...(letters && { letters }) });
    return once(good(await core.later<FormulaAnswer>({ command: "formula", ...subject })));
  }).value;
}

export function useTimeline(core: Core, rows: readonly OptionRow[], setup: Setup, key: string): Later<TimelineAnswer | null> {
  return useLater(`timeline ${key}`, async () =>
    once(good(await core.later<TimelineAnswer>({ command: "timeline", ...subjectFor("timeline", rows, setup) }))),
  );
}

/** The largest batch or sequence that fits; null where nothing is solved for. */
export function useLargest(core: Core, rows: readonly OptionRow[], setup: Setup, over: string, key: string): Later<SolveAnswer["solve"] | null> {
  return useLater(`solve ${over} ${key}`, async () => {
    if (!setup.options["gpu"] || !["batch", "seq"].includes(over)) return once(null);
    const subject = subjectFor("solve", rows, withOption(setup, over, ""), { for: over });
    return once(good(await core.later<SolveAnswer>({ command: "solve", ...subject }))?.solve ?? null);
  });
}

interface Swept {
  answer: SweepAnswer | null;
  problem: Problem | null;
}

/** The points of a sweep, some at a time, in order. */
export function useSweep(
  core: Core,
  rows: readonly OptionRow[],
  setup: Setup,
  over: string,
  around: number,
  now: number | null,
  key: string,
): Later<Swept> {
  const values = useMemo(() => [...new Set([...notches(around), ...(now ? [now] : [])])].sort((a, b) => a - b), [around, now]);
  const points = useRef<{ done: number; points: SweepPoint[] }>({ done: 0, points: [] });
  return useLater<Swept>(`sweep ${over} ${values.join()} ${key}`, async (soFar) => {
    if (soFar === null) points.current = { done: 0, points: [] };
    const { current } = points;
    const next = values.slice(current.done, current.done + POINTS_AT_ONCE);
    const subject = subjectFor("sweep", rows, withOption(setup, over, ""), { over, values: next.join() });
    const answer = await core.later<SweepAnswer>({ command: "sweep", ...subject });
    current.done += next.length;
    const done = current.done >= values.length;
    if (failed(answer)) return { value: { answer: soFar?.answer ?? null, problem: soFar?.answer ? null : answer.error }, done };
    current.points.push(...answer.sweep.points);
    return { value: { answer: { sweep: { ...answer.sweep, points: current.points } }, problem: null }, done };
  });
}

export interface Compared {
  compare: CompareAnswer["compare"] | null;
  problem: Problem | null;
}

/** Every pinned set-up against the present one, one after the other. */
export function useCompare(core: Core, rows: readonly OptionRow[], pins: readonly Setup[], setup: Setup, key: string): Later<Compared[]> {
  return useLater<Compared[]>(`compare ${key}`, async (soFar) => {
    const found = soFar ?? [];
    const pin = pins[found.length];
    if (!pin) return once(found);
    const answer = await core.later<CompareAnswer>({
      command: "compare",
      a: subjectFor("compare", rows, pin),
      b: subjectFor("compare", rows, setup),
    });
    const compared = failed(answer) ? { compare: null, problem: answer.error } : { compare: answer.compare, problem: null };
    const value = [...found, compared];
    return { value, done: value.length === pins.length };
  });
}
