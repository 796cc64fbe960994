// The peak as a formula. Every term is a button-like mark that lights up the rows it comes from.
import type { FormulaAnswer, Term } from "../core/answers.ts";
import type { Later } from "../state/later.ts";
import { grouped, inUnits, percent } from "../state/text.ts";
import { useHighlight } from "./highlight.ts";
import { memo } from "../state/memo.ts";
import type { View } from "../state/setup.ts";

const MathOf = ({ mathml }: { mathml: string }) => <span class="math" dangerouslySetInnerHTML={{ __html: mathml }} />;

function Terms({ terms, peak }: { terms: Term[]; peak: number }) {
  const highlight = useHighlight();
  return (
    <ul class="terms">
      {terms.map((term) => {
        const { class: lit, on } = highlight([term.monomial]);
        return (
          <li class={`term ${lit}`} key={term.formula} tabIndex={0} {...on}>
            <MathOf mathml={term.mathml} />
            <small>
              {inUnits(term.bytes)} · {percent(term.bytes / peak)}
            </small>
          </li>
        );
      })}
    </ul>
  );
}

export interface FormulaProps {
  answer: Later<FormulaAnswer | null>;
  exact: boolean;
  onView(view: Partial<View>): void;
}

export const FormulaPanel = memo(({ answer, exact, onView }: FormulaProps) => {
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
      <Terms terms={shown} peak={formula.peak.bytes} />
      <p class="muted">
        {exact
          ? `all ${formula.terms.length} terms: ${grouped(formula.peak.bytes)} bytes`
          : `${formula.short.dropped} terms left out, ${(formula.short.error * 100).toFixed(2)} % here`}
      </p>
      <dl class="symbols">
        {formula.symbols.map((symbol) => (
          <div>
            <dt>{symbol.letters}</dt>
            <dd>
              {grouped(symbol.value)} <span class="muted">{symbol.meaning}</span>
            </dd>
          </div>
        ))}
      </dl>
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
