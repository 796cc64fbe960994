// node --test wasm/smoke.mjs   (PEAKMEM_WASM names the module, build-wasm/peakmem.wasm if it is not set)
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { load } from "./peakmem.mjs";

const module = process.env.PEAKMEM_WASM ?? new URL("../build-wasm/peakmem.wasm", import.meta.url);
const peakmem = await load(await readFile(module));

test("what cannot be read is an error that says its place", () => {
  const { error } = JSON.parse(peakmem.answerText('{"a": 1,}'));
  assert.equal(error.field, "line 1, column 9");
  assert.match(error.problem, /expected/);
  assert.match(error.hint, /comma/);
});

test("a request that needs more memory than the module began with", () => {
  assert.ok(peakmem.answerText(`["${"x".repeat(1 << 20)}"]`).length > 0);
});

test("an estimate is that of the command line", () => {
  const report = JSON.parse(
    peakmem.answerText(JSON.stringify({ model: "gpt2", options: { batch: 4, seq: 512, attention: "eager", "keep-outputs": "no" } })),
  );
  assert.equal(report.schema, "peakmem/1");
  assert.equal(report.parameters.total, 124439808);
  assert.equal(report.peak.tensor_bytes, 6253628424); // oracle/records/one_gpu.jsonl, its first record
  const sum = report.ledger.reduce((bytes, row) => bytes + row.bytes, 0);
  assert.equal(sum, report.peak.allocated_bytes);
});

test("every model that comes with it can be read", () => {
  const { models } = JSON.parse(peakmem.answerText('{"command": "models"}'));
  assert.ok(models.length > 50);
  for (const model of models) assert.notEqual(model.family, "", model.name);
});

test("a thousand requests", () => {
  for (let i = 0; i < 1000; ++i) assert.ok(peakmem.answerText("{}").length > 0);
});
