// What would help, what was taken for granted, and what to beware of.
import type { Report } from "../core/answers.ts";
import { inUnits } from "../state/text.ts";
import { memo } from "../state/memo.ts";

/** A change that is one option, as it is typed: "--checkpointing full". */
const OPTION = /^--([a-z-]+)(?: (\S+))?$/;

export const Notes = memo(({ report, onOption }: { report: Report; onOption(name: string, text: string): void }) => {
  return (
    <section class="panel notes" aria-label="Notes">
      {report.knobs.length > 0 && (
        <>
          <h2>What would help</h2>
          <ul class="knobs">
            {report.knobs.map((knob) => {
              const option = OPTION.exec(knob.change);
              const text = `${knob.change}, saves ${inUnits(knob.saves_bytes)}`;
              if (!option) return <li>{text}</li>;
              return (
                <li>
                  <button type="button" onClick={() => onOption(option[1] ?? "", option[2] ?? "true")}>
                    {text}
                  </button>
                </li>
              );
            })}
          </ul>
        </>
      )}
      {report.warnings.length > 0 && (
        <>
          <h2>Beware</h2>
          <ul>
            {report.warnings.map((line) => (
              <li>{line}</li>
            ))}
          </ul>
        </>
      )}
      <h2>Taken for granted</h2>
      <ul class="muted">
        {report.assumptions.map((line) => (
          <li>{line}</li>
        ))}
      </ul>
    </section>
  );
});
