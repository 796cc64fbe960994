// The formula in words: what each term is of, and texts to take away.
import type { FormulaAnswer, LedgerRow } from "../core/answers.ts";
import { grouped, inUnits } from "../state/text.ts";

const NAMED = 3; // tensors of a term, the largest first

type Formula = FormulaAnswer["formula"];

/** "transformer.h.*.mlp: mul" as "mlp mul", "model.layers.*.mlp.up_proj.weight: exp_avg" as "up_proj.weight exp_avg". */
function inWords(name: string): string {
  const [place = "", made = ""] = name.split(": ");
  const parts = place.split(".").filter((part) => part !== "*");
  const last = parts[parts.length - 1] ?? place;
  const short = ["weight", "bias"].includes(last) ? parts.slice(-2).join(".") : last;
  return made ? `${short} ${made.replace(/^_+/, "")}` : short;
}

/** What has a term: "activations: mlp mul, mlp add, mlp tanh and 12 more". */
export function wordsOf(monomial: string, ledger: readonly LedgerRow[]): string {
  const rows = ledger.filter((row) => row.monomials.includes(monomial)).sort((a, b) => b.bytes - a.bytes);
  const categories = [...new Set(rows.map((row) => row.category))];
  return categories
    .map((category) => {
      const names = [...new Set(rows.filter((row) => row.category === category).map((row) => inWords(row.name)))];
      const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
      return `${category}: ${names.slice(0, NAMED).join(", ")}${more}`;
    })
    .join(" · ");
}

const legend = (formula: Formula): string =>
  formula.symbols.map((each) => `${each.letters} = ${grouped(each.value)} (${each.meaning})`).join(", ");

export const asText = (formula: Formula): string =>
  `Peak = ${formula.peak.formula} = ${grouped(formula.peak.bytes)} bytes\nwhere ${legend(formula)}\n`;

const latexLegend = (formula: Formula): string =>
  formula.symbols.map((each) => `${each.letters} = ${each.value} \\text{ (${each.meaning})}`).join(", ");

/** `relation` is "=" or "\\approx". */
const latex = (formula: Formula, relation: string, sum: string): string =>
  `M_{\\text{peak}} ${relation} ${sum} \\text{ bytes} = ${inUnits(formula.peak.bytes).replace(" ", " \\text{ ")}}, \\quad \\text{where } ${latexLegend(formula)}\n`;

export const exactLatex = (formula: Formula): string => latex(formula, "=", formula.peak.latex);
export const shortLatex = (formula: Formula): string => latex(formula, "\\approx", formula.short.latex);
