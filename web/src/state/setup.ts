// What the reader asks for. All of it stands in the URL's hash, so that a link is an answer:
// #model=gpt2&batch=4&gpu=a100-80gb&~over=seq. Names that begin with ~ are how it is shown.
import type { Subject } from "../core/core.ts";

/** A model (a shipped one's name, a config, or none where sizes describe it) and options as they were typed. */
export interface Setup {
  model: string | null;
  config: object | null;
  name: string; // of the config
  options: Readonly<Record<string, string>>;
}

export interface View {
  over: string; // what the plot varies
  ledger: "bars" | "map";
  exact: boolean; // the whole formula
  letters: string; // of the formula, where they are one's own: "B=b,T=s"
  pins: readonly Setup[]; // set-ups to stand beside
}

export interface State {
  setup: Setup;
  view: View;
  broken: string; // why what the link holds could not be read, else empty
}

export const FIRST: State = {
  setup: { model: "gpt2", config: null, name: "", options: {} },
  view: { over: "batch", ledger: "bars", exact: false, letters: "", pins: [] },
  broken: "",
};

/** A small GPT, for who comes with sizes alone. */
export const SMALL: Readonly<Record<string, string>> = { layers: "12", heads: "12", hidden: "768", seq: "1024" };

export function subjectOf(setup: Setup): Subject {
  const given = Object.entries(setup.options).filter(([, text]) => text !== "");
  const options = Object.fromEntries(given);
  if (setup.config) return { model: setup.config, name: setup.name || "config", options };
  return { model: setup.model, options };
}

export function withOption(setup: Setup, name: string, text: string): Setup {
  const options = { ...setup.options };
  if (text === "") delete options[name];
  else options[name] = text;
  return { ...setup, options };
}

function setupText(setup: Setup): URLSearchParams {
  const text = new URLSearchParams();
  if (setup.config) {
    text.set("config", JSON.stringify(setup.config));
    if (setup.name) text.set("name", setup.name);
  } else {
    text.set("model", setup.model ?? "none");
  }
  for (const [name, value] of Object.entries(setup.options)) if (value !== "") text.set(name, value);
  return text;
}

export function toHash({ setup, view }: Pick<State, "setup" | "view">): string {
  const text = setupText(setup);
  if (view.over !== FIRST.view.over) text.set("~over", view.over);
  if (view.ledger !== FIRST.view.ledger) text.set("~ledger", view.ledger);
  if (view.exact) text.set("~exact", "true");
  if (view.letters) text.set("~letters", view.letters);
  for (const pin of view.pins) text.append("~pin", setupText(pin).toString());
  return text.toString();
}

function readConfig(text: string | null): object | null {
  if (text === null) return null;
  try {
    const config: unknown = JSON.parse(text);
    return typeof config === "object" && config !== null && !Array.isArray(config) ? config : null;
  } catch {
    return null;
  }
}

function readSetup(text: URLSearchParams): Setup {
  const config = readConfig(text.get("config"));
  const model = text.get("model") ?? (config ? null : FIRST.setup.model);
  const options: Record<string, string> = {};
  for (const [name, value] of text)
    if (!["model", "config", "name"].includes(name) && !name.startsWith("~")) options[name] = value;
  return { model: model === "none" ? null : model, config, name: text.get("name") ?? "", options };
}

/** Reads any text: what makes no sense to the core is refused there, beside its field. */
export function fromHash(hash: string): State {
  const text = new URLSearchParams(hash.replace(/^#/, ""));
  const config = text.get("config");
  return {
    setup: readSetup(text),
    broken: config !== null && readConfig(config) === null ? "config: the link holds one that is no JSON object, so this is another model" : "",
    view: {
      over: text.get("~over") ?? FIRST.view.over,
      ledger: text.get("~ledger") === "map" ? "map" : "bars",
      exact: text.get("~exact") === "true",
      letters: text.get("~letters") ?? "",
      pins: text.getAll("~pin").map((pin) => readSetup(new URLSearchParams(pin))),
    },
  };
}

/** Two set-ups are the same where their links are. */
export const sameSetup = (a: Setup, b: Setup): boolean => setupText(a).toString() === setupText(b).toString();
