// The set-up: the model, then every option of an estimate by its group, as the core's table has them.
import { useCallback, useMemo, useRef } from "preact/hooks";
import type { ConfigAnswer, GpuRow, ModelRow, OptionRow, Problem } from "../core/answers.ts";
import { useLater } from "../state/later.ts";
import { memo } from "../state/memo.ts";
import { withOption, type Setup } from "../state/setup.ts";
import { ModelField } from "./model_field.tsx";
import { OptionField } from "./option_field.tsx";

export interface Tables {
  options: OptionRow[];
  gpus: GpuRow[];
}

export interface FormProps {
  tables: Tables;
  models: ModelRow[];
  setup: Setup;
  /** Of the set-up, and of the model without options: where sliders have their middle. */
  config: ConfigAnswer["config"] | null;
  bare: ConfigAnswer["config"] | null;
  problem: Problem | null;
  check(setup: Setup): Problem | null;
  onSetup(setup: Setup): void;
  onOption(name: string, text: string): void;
}

const CARD = "gpu"; // stands with the model

/** The option or part that a problem concerns: "--batch" is batch, "MODEL" is model. */
export const fieldOf = (problem: Problem): string => problem.field.replace(/^--/, "").toLowerCase();

export const sizeIn = (config: ConfigAnswer["config"] | null, name: string): number | null => {
  const value = config?.[name.replaceAll("-", "_")];
  return typeof value === "number" && value > 0 ? value : null;
};

/** Groups in the table's order, those of the model's sizes right after the model. */
function groupsOf(rows: OptionRow[]): [string, OptionRow[]][] {
  const groups = new Map<string, OptionRow[]>();
  for (const row of rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return [...groups];
}

export const Form = memo(({ tables, models, setup, config, bare, problem, check, onSetup, onOption }: FormProps) => {
  const rows = tables.options.filter((row) => row.commands.includes("estimate") && row.name !== "json");
  const titles = useMemo(() => new Map(tables.gpus.map((gpu) => [gpu.name, gpu.title])), [tables]);
  const now = useRef(setup);
  now.current = setup;
  const accepts = useCallback((name: string, text: string) => check(withOption(now.current, name, text)) === null, [check]);
  const all = useLater("closed groups", async () => ({ value: true, done: true })).value;
  const field = (row: OptionRow) => (
    <OptionField
      key={row.name}
      row={row}
      text={setup.options[row.name] ?? ""}
      usual={sizeIn(config, row.name) ?? (row.default ? Number(row.default) : null)}
      around={sizeIn(bare, row.name) ?? (row.default ? Number(row.default) : null)}
      titles={titles}
      problem={problem && fieldOf(problem) === row.name ? problem : null}
      onOption={onOption}
      accepts={accepts}
    />
  );
  const bySizes = setup.model === null && setup.config === null;
  return (
    <form class="form" aria-label="Set-up" onSubmit={(event) => event.preventDefault()}>
      <ModelField
        setup={setup}
        models={models}
        problem={problem && fieldOf(problem) === "model" ? problem : null}
        check={check}
        onSetup={onSetup}
      >
        {rows.filter((row) => row.name === CARD).map(field)}
      </ModelField>
      {groupsOf(rows.filter((row) => row.name !== CARD)).map(([group, members], i) => {
        const set = members.filter((row) => setup.options[row.name]).length;
        const wrong = problem !== null && members.some((row) => row.name === fieldOf(problem));
        const open = i === 0 || set > 0 || wrong || (bySizes && members.some((row) => row.name === "layers"));
        return (
          <details key={group} open={open}>
            <summary>
              {group}
              {set > 0 && <span class="count">{set} set</span>}
            </summary>
            {(open || all) && members.map(field)}
          </details>
        );
      })}
      {Object.keys(setup.options)
        .filter((name) => !rows.some((row) => row.name === name))
        .map((name) => (
          <p class="problem">
            {name} in the link is no option here.{" "}
            <button type="button" onClick={() => onOption(name, "")}>
              Drop it
            </button>
          </p>
        ))}
    </form>
  );
});
