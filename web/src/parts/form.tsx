// The set-up: model, card, recipe and the sizes one asks about first, then every option of an estimate by its group, as
// the core's table has them.
import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import type { ConfigAnswer, ModelRow, OptionRow, Problem } from "../core/answers.ts";
import { sizeIn, type Tables } from "../core/tables.ts";
import { useLater } from "../state/later.ts";
import { letterOf } from "../state/letters.ts";
import { memo } from "../state/memo.ts";
import { withOption, type Setup } from "../state/setup.ts";
import { ModelField } from "./model_field.tsx";
import { OptionField } from "./option_field.tsx";
import { OwnCard } from "./own_card.tsx";
import { RecipeField } from "./recipe_field.tsx";
import { recipeOf, RECIPES } from "./recipes.ts";

export interface FormProps {
  tables: Tables;
  models: ModelRow[];
  letters: string; // of the formula, one's own
  setup: Setup;
  /** Of the set-up, and of the model without options: where sliders have their middle. */
  config: ConfigAnswer["config"] | null;
  bare: ConfigAnswer["config"] | null;
  problem: Problem | null;
  idle: ReadonlySet<string> | null; // options that cannot matter here
  check(setup: Setup): Problem | null;
  onSetup(setup: Setup): void;
  onOption(name: string, text: string): void;
}

const CARD = "gpu"; // stands with the model
const FIRST = ["batch", "seq", "checkpointing"]; // with the recipe
const BARE = ["layers", "heads", "hidden"]; // of a model that is sizes alone: with it

/** The option or part that a problem concerns: "--batch" is batch, "MODEL" is model. */
export const fieldOf = (problem: Problem): string => problem.field.replace(/^--/, "").toLowerCase();

/** What the page asks an estimate of: a page writes no files. */
const onPage = (row: OptionRow): boolean => row.commands.includes("estimate") && row.name !== "json";

/** Groups in the table's order, those of the model's sizes right after the model. */
function groupsOf(rows: OptionRow[]): [string, OptionRow[]][] {
  const groups = new Map<string, OptionRow[]>();
  for (const row of rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  return [...groups];
}

/** Of the options of a group that are set: how many. */
const Count = ({ set }: { set: number }) => (set > 0 ? <span class="count">{set} set</span> : null);

export const Form = memo(({ tables, models, letters, setup, config, bare, problem, idle, check, onSetup, onOption }: FormProps) => {
  const [everything, setEverything] = useState(false);
  const rows = useMemo(() => tables.options.filter(onPage), [tables]);
  const titles = useMemo(() => new Map(tables.gpus.map((gpu) => [gpu.name, gpu.title])), [tables]);
  const now = useRef(setup);
  now.current = setup;
  const accepts = useCallback((name: string, text: string) => check(withOption(now.current, name, text)) === null, [check]);
  const all = useLater("closed groups", async () => ({ value: true, done: true })).value;
  const bySizes = setup.model === null && setup.config === null;
  const isSet = (row: OptionRow): boolean => (setup.options[row.name] ?? "") !== "";
  const isWrong = (row: OptionRow): boolean => problem !== null && fieldOf(problem) === row.name;
  const isIdle = (row: OptionRow): boolean => !everything && !isSet(row) && !isWrong(row) && idle?.has(row.name) === true;
  const field = (row: OptionRow) => (
    <OptionField
      key={row.name}
      row={row}
      label={bySizes && row.symbol ? `${row.name} ${letterOf(row, setup, letters)}` : undefined}
      text={setup.options[row.name] ?? ""}
      usual={sizeIn(config, row.name) ?? (row.default ? Number(row.default) : null)}
      around={sizeIn(bare, row.name) ?? (row.default ? Number(row.default) : null)}
      titles={titles}
      problem={isWrong(row) ? problem : null}
      idle={isIdle(row)}
      onOption={onOption}
      accepts={accepts}
    />
  );
  const named = (names: readonly string[]) => names.flatMap((name) => rows.filter((row) => row.name === name)).map(field);
  const before = [CARD, ...FIRST, ...(bySizes ? BARE : [])];
  const rest = rows.filter((row) => !before.includes(row.name));
  const followed = RECIPES[recipeOf(setup) ?? ""] ?? {};
  const hidden = rest.filter(isIdle).length;
  return (
    <form class="form" aria-label="Set-up" onSubmit={(event) => event.preventDefault()}>
      <ModelField
        setup={setup}
        models={models}
        problem={problem && fieldOf(problem) === "model" ? problem : null}
        check={check}
        onSetup={onSetup}
      >
        {bySizes && named(BARE)}
        {named([CARD])}
        <OwnCard text={setup.options[CARD] ?? ""} onOption={onOption} />
      </ModelField>
      <div class="first">
        <RecipeField setup={setup} onSetup={onSetup} />
        {named(FIRST)}
      </div>
      <details class="further" open={rest.some((row) => isWrong(row) || (isSet(row) && followed[row.name] === undefined))}>
        <summary>
          More options
          <Count set={rest.filter(isSet).length} />
        </summary>
        {groupsOf(rest).map(([group, members], i) => {
          const open = i === 0 || members.some((row) => isSet(row) || isWrong(row));
          return (
            <details key={group} open={open} hidden={members.every(isIdle)}>
              <summary>
                {group}
                <Count set={members.filter(isSet).length} />
              </summary>
              {(open || all) && members.map(field)}
            </details>
          );
        })}
        {(hidden > 0 || everything) && (
          <button type="button" aria-pressed={everything} onClick={() => setEverything(!everything)}>
            {everything ? "all are shown" : `show ${hidden} that mean nothing here`}
          </button>
        )}
      </details>
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
