// The peak against the card.
import type { Report } from "../core/answers.ts";
import { grouped, inThousands, inUnits, percent } from "../state/text.ts";
import { Legend } from "../draw/legend.tsx";
import { categoriesOf, colour } from "./categories.ts";
import { memo } from "../state/memo.ts";

/** How much of the bar a number of bytes is. */
const share = (bytes: number, whole: number): string => `${Math.min(100, (100 * bytes) / whole)}%`;

function Bar({ report }: { report: Report }) {
  const { device_bytes: device, device_range: range, allocated_bytes: allocated } = report.peak;
  const capacity = report.fits?.capacity_bytes ?? range.high;
  const whole = Math.max(capacity, range.high);
  const told = `${inUnits(device)} of ${inUnits(capacity)}`;
  return (
    <div class="bar" role="img" aria-label={told}>
      {categoriesOf([report]).map((category) => {
        const bytes = report.categories[category] ?? 0;
        return <span style={{ width: share(bytes, whole), background: colour(category) }} title={`${category} ${inUnits(bytes)}`} />;
      })}
      <span class="outside" style={{ width: share(device - allocated, whole) }} title="reserved beside, and the CUDA context" />
      <i class="range" style={{ left: share(range.low, whole), width: share(range.high - range.low, whole) }} />
      {report.fits && <i class="limit" style={{ left: share(capacity, whole) }} />}
    </div>
  );
}

const Line = ({ name, value, note }: { name: string; value: string; note: string }) => (
  <tr>
    <th scope="row">{name}</th>
    <td class="number">{value}</td>
    <td class="note">{note}</td>
  </tr>
);

export const VerdictPanel = memo(({ report, title }: { report: Report; title: string }) => {
  const { peak, fits, parameters } = report;
  const trained = parameters.trainable === parameters.total ? "" : ` · ${inThousands(parameters.trainable)} trained`;
  return (
    <section class="panel verdict" id="answer" tabIndex={-1} aria-label={title}>
      <header>
        <h2>{report.model}</h2>
        <span class="muted" title={grouped(parameters.total)}>
          {inThousands(parameters.total)} parameters{trained}
        </span>
        {fits && <strong class={`badge ${fits.verdict.replaceAll(" ", "-")}`}>{fits.verdict}</strong>}
      </header>
      <p class="peak">
        <output aria-live="polite">{inUnits(peak.device_bytes)}</output>
        <span class="muted">
          {fits
            ? ` of ${inUnits(fits.capacity_bytes)} on ${fits.gpu}, ${percent(peak.device_bytes / fits.capacity_bytes)}`
            : " on the device; name a GPU for a verdict"}
        </span>
      </p>
      <Bar report={report} />
      <Legend categories={categoriesOf([report])} outside />
      <table class="levels">
        <tbody>
          <Line name="tensors" value={inUnits(peak.tensor_bytes)} note={`exact · ${grouped(peak.tensor_bytes)} bytes`} />
          <Line name="allocated" value={inUnits(peak.allocated_bytes)} note="torch.cuda.max_memory_allocated" />
          <Line
            name="reserved ~"
            value={inUnits(peak.reserved_bytes)}
            note={`${inUnits(peak.reserved_range.low)} to ${inUnits(peak.reserved_range.high)}`}
          />
          <Line
            name="device ~"
            value={inUnits(peak.device_bytes)}
            note={`${inUnits(peak.device_range.low)} to ${inUnits(peak.device_range.high)} · nvidia-smi`}
          />
        </tbody>
      </table>
      <p class="muted">
        in the {peak.phase} of step {peak.step}
      </p>
    </section>
  );
});
