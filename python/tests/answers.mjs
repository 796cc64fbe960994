// node answers.mjs MODULE: every line of standard input is a request, every line of standard output its response as a JSON text.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { load } from "../../wasm/peakmem.mjs";

const peakmem = await load(await readFile(process.argv[2]));
for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(JSON.stringify(peakmem.answerText(line)) + "\n");
