// "Fit it for me": what would make it fit, and what each costs, as the core's `advise` has it; a click takes it.
import { inUnits } from "../state/text.ts";
import type { Suggestion } from "../core/answers.ts";
import type { Advised } from "../state/ask_cards.ts";
import type { Later } from "../state/later.ts";
import { classOf } from "./cards.tsx";
import { ProblemText } from "./field.tsx";

/** "--batch 4 --clip-grad" as options. */
export function optionsOf(flags: string): Record<string, string> {
  const found = flags.matchAll(/--([a-z0-9-]+)(?: (?!--)('[^']*'|\S+))?/g);
  return Object.fromEntries([...found].map(([, name = "", value]) => [name, value?.replace(/^'|'$/g, "") ?? "true"]));
}

export interface FitProps {
  answer: Later<Advised>;
  wanted: boolean;
  onWant(): void;
  onTake(options: Readonly<Record<string, string>>): void;
}

function Row({ suggestion, onTake }: { suggestion: Suggestion; onTake: FitProps["onTake"] }) {
  const flags = suggestion.changes.map((each) => each.flags).join(" ");
  return (
    <li>
      <button type="button" class="mono" onClick={() => onTake(optionsOf(flags))}>
        {flags}
      </button>
      <span>
        {inUnits(suggestion.device_bytes)}, <strong class={classOf(suggestion.verdict)}>{suggestion.verdict}</strong>
      </span>
      <ul class="muted">
        {suggestion.changes.map((each) => (
          <li>
            {each.cost}: {each.why}
          </li>
        ))}
      </ul>
    </li>
  );
}

export function FitPanel({ answer, wanted, onWant, onTake }: FitProps) {
  const found = answer.stale ? null : answer.value;
  return (
    <section class="panel fit" aria-label="Fit it for me">
      {!wanted && (
        <button type="button" onClick={onWant}>
          Fit it for me
        </button>
      )}
      {wanted && !found && <p role="status">looking for what would make it fit …</p>}
      {wanted && found?.problem && <ProblemText problem={found.problem} />}
      {wanted && found?.advice && (
        <>
          <h2>What would make it fit, the least costly first</h2>
          <ol class="suggestions">
            {found.advice.suggestions.map((suggestion) => (
              <Row suggestion={suggestion} onTake={onTake} />
            ))}
          </ol>
          {found.advice.suggestions.length === 0 && <p>nothing that Peakmem knows of</p>}
        </>
      )}
    </section>
  );
}
