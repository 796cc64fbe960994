// The model: one that is shipped, a config.json that is dropped, chosen or pasted, or sizes alone.
import type { ComponentChildren } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import { useDrop } from "../state/use_drop.ts";
import type { ModelRow, Problem } from "../core/answers.ts";
import { SMALL, type Setup } from "../state/setup.ts";
import { describedBy, Field, ProblemText } from "./field.tsx";

const MOST_BYTES = 1 << 20; // configs have some kilobytes

/** The config in a text, or why there is none. */
export function readConfig(text: string): object | Problem {
  if (text.length > MOST_BYTES)
    return { field: "config", problem: "is larger than 1 MiB, as no config is", hint: "drop a model's config.json" };
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === "object" && config !== null && !Array.isArray(config)) return config;
    return { field: "config", problem: "is JSON, but no object", hint: "a config begins with {" };
  } catch (reason) {
    return { field: "config", problem: "is no JSON", hint: reason instanceof Error ? reason.message : "" };
  }
}

export interface ModelProps {
  setup: Setup;
  models: ModelRow[];
  problem: Problem | null;
  /** Whether the core takes it; what is wrong if not. */
  check(setup: Setup): Problem | null;
  onSetup(setup: Setup): void;
  children: ComponentChildren;
}

const CONFIG = "\u0000config";
const NONE = "\u0000none";

const byFamily = (models: ModelRow[]) =>
  [...new Set(models.map((row) => row.family))].map((family) => (
    <optgroup label={family}>
      {models
        .filter((row) => row.family === family)
        .map((row) => (
          <option value={row.name}>{row.name}</option>
        ))}
    </optgroup>
  ));

export function ModelField({ setup, models, problem, check, onSetup, children }: ModelProps) {
  const [refused, setRefused] = useState<Problem | null>(null);
  const [pasting, setPasting] = useState<string | null>(null);
  const file = useRef<HTMLInputElement>(null);

  /** Takes a config only if the core does: a bad one changes nothing. True if taken. */
  const take = (text: string, name: string): boolean => {
    const config = readConfig(text);
    if ("problem" in config) {
      setRefused({ ...config, problem: `${name} ${config.problem}` });
      return false;
    }
    const next = { model: null, config, name, options: setup.options };
    const wrong = check({ ...next, options: {} });
    setRefused(wrong && { ...wrong, problem: `${name}: ${wrong.field} ${wrong.problem}` });
    if (!wrong) onSetup(next);
    return wrong === null;
  };
  const takeFile = async (given: File | undefined): Promise<void> => {
    if (!given) return;
    if (given.size > MOST_BYTES) take(" ".repeat(MOST_BYTES + 1), given.name);
    else take(await given.text(), given.name);
  };
  const over = useDrop((dropped) => void takeFile(dropped));
  const choose = (value: string): void => {
    setRefused(null);
    if (value === CONFIG) return;
    const options = value === NONE ? { ...SMALL, ...setup.options } : setup.options;
    onSetup({ model: value === NONE ? null : value, config: null, name: "", options });
  };
  const shipped = useMemo(() => byFamily(models), [models]);
  const unknown = setup.model !== null && !models.some((row) => row.name === setup.model);

  return (
    <div class={over ? "model over" : "model"}>
      <Field name="model" help="one that comes with Peakmem, or a config.json dropped anywhere on this page" problem={problem}>
        <select
          {...describedBy("model", problem)}
          value={setup.config ? CONFIG : (setup.model ?? NONE)}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          {setup.config && <option value={CONFIG}>{setup.name || "config"}</option>}
          {unknown && <option value={setup.model ?? ""}>{setup.model}</option>}
          <option value={NONE}>by sizes alone</option>
          {shipped}
        </select>
      </Field>
      <div class="buttons">
        <button type="button" onClick={() => file.current?.click()}>
          Open config.json
        </button>
        <input
          ref={file}
          class="hidden"
          type="file"
          accept=".json,application/json"
          tabIndex={-1}
          aria-label="config.json"
          onChange={(event) => {
            void takeFile(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
        <button type="button" aria-expanded={pasting !== null} onClick={() => setPasting(pasting === null ? "" : null)}>
          Paste
        </button>
      </div>
      {pasting !== null && (
        <div class="paste">
          <label for="pasted">A config.json as text</label>
          <textarea
            id="pasted"
            rows={6}
            spellcheck={false}
            value={pasting}
            onInput={(event) => setPasting(event.currentTarget.value)}
          />
          <button type="button" onClick={() => take(pasting, "pasted config") && setPasting(null)}>
            Use it
          </button>
        </div>
      )}
      <div role="alert">{refused && <ProblemText problem={refused} />}</div>
      {children}
    </div>
  );
}
