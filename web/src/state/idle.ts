// Options that cannot matter in a set-up: those of which the core takes no value. So the page need not know its rules.
import { failed, type ConfigAnswer, type OptionRow } from "../core/answers.ts";
import type { Core } from "../core/core.ts";
import { useLater } from "./later.ts";
import { subjectOf, toHash, withOption, FIRST, type Setup } from "./setup.ts";

const AT_ONCE = 12; // options, between which other wishes may come first
const PAIRED = ["zero", "ranks", "lora-rank", "lora-targets"]; // one without the other is refused
const PROBING = { reserved: "bounds" }; // the quickest estimate

/** Values to try; none of a text without a default, which may be anything. */
function valuesOf(row: OptionRow): string[] {
  if (row.kind === "size") return [row.default, "2", "8"].filter((each) => each !== "");
  if (row.kind === "flag") return ["true"];
  if (row.kind === "choice") return row.choices.filter((each) => each !== row.default);
  return row.default ? [row.default] : [];
}

async function cannotMatter(core: Core, row: OptionRow, setup: Setup): Promise<boolean> {
  if (setup.options[row.name] || PAIRED.includes(row.name)) return false;
  const command = row.commands.includes("config") ? "config" : "estimate";
  for (const value of valuesOf(row)) {
    const subject = subjectOf(withOption(setup, row.name, value));
    const options = command === "estimate" ? { ...subject.options, ...PROBING } : subject.options;
    const answer = await core.later<ConfigAnswer>({ command, ...subject, options });
    if (!failed(answer) || answer.error.field !== `--${row.name}`) return false;
  }
  return valuesOf(row).length > 0;
}

/** Their names; what sizes are does not change them. */
export function useIdle(core: Core, rows: readonly OptionRow[], setup: Setup): ReadonlySet<string> | null {
  const without = rows.filter((row) => row.kind === "size" && row.group === "Run").reduce((left, row) => withOption(left, row.name, ""), setup);
  const key = toHash({ setup: without, view: FIRST.view });
  return useLater<ReadonlySet<string> & { at?: number }>(`idle ${key}`, async (soFar) => {
    const found: Set<string> & { at?: number } = new Set(soFar ?? []);
    const from = soFar?.at ?? 0;
    for (const row of rows.slice(from, from + AT_ONCE))
      if (await cannotMatter(core, row, without)) found.add(row.name);
    found.at = from + AT_ONCE;
    return { value: found, done: found.at >= rows.length };
  }).value;
}
