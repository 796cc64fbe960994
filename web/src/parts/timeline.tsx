// The panel of the timeline.
import type { TimelineAnswer, Verdict } from "../core/answers.ts";
import { Save } from "../draw/save.tsx";
import { TimelinePlot } from "../draw/timeline_plot.tsx";
import type { Later } from "../state/later.ts";
import { memo } from "../state/memo.ts";

export const TimelinePanel = memo(({ answer, fits }: { answer: Later<TimelineAnswer | null>; fits: Verdict | null }) => {
  const timeline = answer.value?.timeline;
  return (
    <section class={answer.stale ? "panel stale" : "panel"} aria-labelledby="timeline-title">
      <header>
        <h2 id="timeline-title">Timeline</h2>
        <span class="muted">allocated over the steady step, in order of events</span>
      </header>
      {timeline && (
        <figure class="draw">
          <Save name="timeline" />
          <TimelinePlot timeline={timeline} fits={fits} />
        </figure>
      )}
    </section>
  );
});
