// A set-up in other words: the command line, Python.
import type { Setup } from "../state/setup.ts";

const plain = /^[A-Za-z0-9_./:=,%+-]+$/;
const shellWord = (text: string): string => (plain.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const number = /^[0-9]+$/;

const given = (setup: Setup): [string, string][] => Object.entries(setup.options).filter(([, text]) => text !== "");

/** A config is taken to lie in the folder, by its name. */
const fileOf = (setup: Setup): string => (setup.name.endsWith(".json") ? setup.name : "config.json");

export function commandLine(setup: Setup): string {
  const words = ["peakmem"];
  if (setup.config) words.push(shellWord(fileOf(setup)));
  else if (setup.model !== null) words.push(shellWord(setup.model));
  for (const [name, text] of given(setup)) {
    if (text === "false") continue;
    words.push(`--${name}`);
    if (text !== "true") words.push(shellWord(text));
  }
  return words.join(" ");
}

const pythonValue = (text: string): string =>
  text === "true" ? "True" : text === "false" ? "False" : number.test(text) ? text : JSON.stringify(text);

export function python(setup: Setup): string {
  const model = setup.config ? JSON.stringify(fileOf(setup)) : setup.model === null ? "None" : JSON.stringify(setup.model);
  const options = given(setup).map(([name, text]) => `${name.replaceAll("-", "_")}=${pythonValue(text)}`);
  return `import peakmem\n\nreport = peakmem.estimate(${[model, ...options].join(", ")})\n`;
}
