// The answer in one line, which stays in sight wherever the page is scrolled to.
import type { Report } from "../core/answers.ts";
import { inUnits } from "../state/text.ts";
import { memo } from "../state/memo.ts";

/** Hidden from screen readers, to whom the first panel says it. */
export const AnswerLine = memo(({ report }: { report: Report }) => {
  const { peak, fits } = report;
  return (
    <div class="answer-line" aria-hidden="true">
      <strong>{inUnits(peak.device_bytes)}</strong>
      {fits && <span>of {inUnits(fits.capacity_bytes)}</span>}
      {fits && <strong class={`badge ${fits.verdict.replaceAll(" ", "-")}`}>{fits.verdict}</strong>}
      <span class="model-name">{report.model}</span>
    </div>
  );
});
