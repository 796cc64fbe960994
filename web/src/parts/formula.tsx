// The peak as a sentence: a sum of terms, each with a few words on what it is of, which lights up the rows of the ledger.
import type { FormulaAnswer, LedgerRow, Term } from "../core/answers.ts";
import type { Later } from "../state/later.ts";
import { grouped, inUnits, percent } from "../state/text.ts";
import { Copier } from "./copier.tsx";
import { asText, exactLatex, shortLatex, wordsOf } from "./formula_words.ts";
import { useHighlight } from "./highlight.ts";
import { LettersField } from "./letters_field.tsx";
import { memo } from "../state/memo.ts";
import type { View } from "../state/setup.ts";

const MathOf = ({ mathml }: { mathml: string }) => <span class="math" dangerouslySetInnerHTML={{ __html: mathml }} />;

function Sentence({ terms, exact, bytes }: { terms: Term[]; exact: boolean; bytes: number }) {
  const highlight = useHighlight();
  return (
    <p class="sentence">
      Peak {exact ? "=" : "≈"}{" "}
      {terms.map((term, i) => {
        const { class: lit, on } = highlight([term.monomial]);
        return (
          <>
            {i > 0 && " + "}
            <span class={`term ${lit}`} key={term.formula} tabIndex={0} {...on}>
              <MathOf mathml={term.mathml} />
            </span>
          </>
        );
      })}
      {" = "}
      <strong>{exact ? `${grouped(bytes)} bytes` : inUnits(bytes)}</strong>
    </p>
  );
}

function Words({ terms, peak, ledger }: { terms: Term[]; peak: number; ledger: LedgerRow[] }) {
  const highlight = useHighlight();
  return (
    <ul class="terms">
      {terms.map((term) => (
        <li class={highlight([term.monomial]).class} key={term.formula}>
          <MathOf mathml={term.mathml} />
          <span class="number">
            {inUnits(term.bytes)} · {percent(term.bytes / peak)}
          </span>
          <small>{wordsOf(term.monomial, ledger)}</small>
        </li>
      ))}
    </ul>
  );
}

export interface FormulaProps {
  answer: Later<FormulaAnswer | null>;
  inBatch: FormulaAnswer | null; // where the batch is 1, and has no letter: of larger ones
  ledger: LedgerRow[];
  exact: boolean;
  letters: string;
  onView(view: Partial<View>): void;
}

export const FormulaPanel = memo(({ answer, inBatch, ledger, exact, letters, onView }: FormulaProps) => {
  const formula = answer.value?.formula;
  if (!formula) return <section class="panel formula" aria-label="Formula" />;
  const shown = exact ? formula.terms : formula.terms.slice(0, formula.terms.length - formula.short.dropped);
  return (
    <section class={answer.stale ? "panel formula stale" : "panel formula"} aria-labelledby="formula-title">
      <header>
        <h2 id="formula-title">Formula</h2>
        <span class="muted">of the tensors at the peak, in bytes</span>
        <label class="switch">
          <input type="checkbox" checked={exact} onChange={(event) => onView({ exact: event.currentTarget.checked })} />
          exact
        </label>
      </header>
      <Sentence terms={shown} exact={exact} bytes={formula.peak.bytes} />
      {inBatch && (
        <p class="in-batch muted">
          In {inBatch.formula.symbols.find((each) => each.symbol === "B")?.letters ?? "B"}, from 2 sequences on: {inBatch.formula.short.formula}
        </p>
      )}
      <LettersField symbols={formula.symbols} own={letters} onLetters={(given) => onView({ letters: given })} />
      <Words terms={shown} peak={formula.peak.bytes} ledger={ledger} />
      <p class="muted">
        {exact
          ? `all ${formula.terms.length} terms: ${grouped(formula.peak.bytes)} bytes`
          : `${formula.short.dropped} terms left out, ${(formula.short.error * 100).toFixed(2)} % here`}
      </p>
      <Copier
        label="Copy the formula as"
        texts={[
          ["text", () => asText(formula)],
          ["short LaTeX", () => shortLatex(formula)],
          ["exact LaTeX", () => exactLatex(formula)],
        ]}
      />
      {formula.crossings.length > 0 && (
        <details>
          <summary>Where parts cross</summary>
          <ul class="lines">
            {formula.crossings.map((line) => (
              <li>{line.text}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
});
