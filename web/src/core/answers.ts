// What the core answers, as src/api prints it. Bytes are whole numbers below 2^53.

/** What could not be answered: `field` is an option as it is typed ("--batch"), a member of the request, or a place. */
export interface Problem {
  field: string;
  problem: string;
  hint: string;
}
export type Answer<T> = T | { error: Problem };

/** A row of the table of options: the page's form is made of these. */
export interface OptionRow {
  name: string;
  kind: "size" | "choice" | "flag" | "text" | "file";
  value: string;
  default: string;
  symbol: string;
  group: string;
  help: string;
  choices: string[];
  commands: string[];
}

export interface ModelRow {
  name: string;
  family: string;
}

export interface GpuRow {
  name: string;
  title: string;
}

/** What was understood of a model: its sizes by the name of their option with `_`, and the options that change them. */
export interface ConfigAnswer {
  model: string;
  config: { family: string; changed_by: string[] } & Record<string, unknown>;
}

export interface Range {
  low: number;
  likely: number;
  high: number;
  why: string;
}

export interface Verdict {
  gpu: string;
  capacity_bytes: number;
  verdict: "fits" | "tight" | "does not fit";
}

export interface LedgerRow {
  category: string;
  name: string;
  count: number;
  bytes: number;
  formula: string;
  monomials: string[];
  why: string;
}

/** The first allocation that the GPU cannot serve; `approximate` says why its place is not exact, else it is empty. */
export interface Failure {
  step: number;
  micro?: number;
  phase: string;
  module: string;
  op: string;
  bytes: number;
  tried_bytes: number;
  allocated_bytes: number;
  reserved_bytes: number;
  capacity_bytes: number;
  free_bytes: number;
  approximate: string;
}

export interface Knob {
  change: string;
  saves_bytes: number;
}

export interface Report {
  model: string;
  parameters: { total: number; trainable: number };
  peak: {
    tensor_bytes: number;
    allocated_bytes: number;
    reserved_bytes: number;
    device_bytes: number;
    phase: string;
    step: number;
    reserved_range: Range;
    device_range: Range;
  };
  categories: Record<string, number>;
  ledger: LedgerRow[];
  fits: Verdict | null;
  failure: Failure | null;
  knobs: Knob[];
  assumptions: string[];
  warnings: string[];
}

export interface Term {
  formula: string;
  latex: string;
  mathml: string;
  monomial: string;
  bytes: number;
}

export interface FormulaAnswer {
  formula: {
    symbols: { symbol: string; letters: string; meaning: string; value: number }[];
    peak: { bytes: number; formula: string; latex: string; at?: string };
    short: { formula: string; latex: string; error: number; dropped: number };
    terms: Term[];
    crossings: { text: string; value: number }[];
  };
}

export interface SolveAnswer {
  solve: { for: string; value: number; sure: number; aligned: number; peak_bytes: number; capacity_bytes: number; gpu: string; limit: string };
}

export interface SweepPoint {
  value: number;
  error?: Problem;
  device_bytes?: number;
  allocated_bytes?: number;
  fits?: Verdict | null;
  categories?: Record<string, number>;
  textbook_bytes?: number[];
}

export interface SweepAnswer {
  sweep: {
    over: string;
    textbook: { name: string; formula: string; source: string; reference_of: string }[];
    points: SweepPoint[];
  };
}

export interface Suggestion {
  changes: { flags: string; cost: string; why: string }[];
  gpu: string;
  verdict: Verdict["verdict"];
  device_bytes: number;
}

export interface AdviceAnswer {
  advice: { suggestions: Suggestion[] };
}

export interface CardRow {
  gpu: string;
  title: string;
  verdict: Verdict["verdict"];
  capacity_bytes: number;
  device_bytes: number;
}

/** The estimate for several cards, with commas between them. */
export interface CardsAnswer {
  cards: { rows: CardRow[] };
}

type Side = Pick<Report, "model" | "peak" | "fits">;

export interface CompareAnswer {
  compare: {
    a: Side;
    b: Side;
    difference: { tensor_bytes: number; device_bytes: number };
    ledger: { category: string; name: string; a_bytes: number; b_bytes: number; difference_bytes: number }[];
  };
}

export interface TimelineAnswer {
  timeline: {
    events: number;
    peak: { event: number; bytes: number; phase: string };
    phases: { name: string; first: number; last: number; peak_bytes: number }[];
    points: { event: number[]; bytes: number[] };
  };
}

export function failed<T extends object>(answer: Answer<T>): answer is { error: Problem } {
  return "error" in answer;
}
