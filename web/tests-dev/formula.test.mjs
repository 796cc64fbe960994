// The formula: a sentence that the core wrote, in words, in one's own letters, to take away.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { pages, settled } from "./browser.mjs";

const program = process.env.PEAKMEM ?? fileURLToPath(new URL("../../build/peakmem", import.meta.url));
const { visit } = pages();
const formulaOf = (...words) => JSON.parse(execFileSync(program, ["formula", ...words, "--simplify", "5%", "--json"], { encoding: "utf8" })).formula;
/** The text of MathML, its letters upright. */
const plain = (text) => text.normalize("NFKD").replace(/\s/g, "").replaceAll("C2", "C²");

test("a sentence: the short formula, and what it comes to", () =>
  visit("#model=gpt2", {}, async (page) => {
    const { short, peak } = formulaOf("gpt2");
    const said = plain(await page.locator(".sentence").innerText());
    assert.equal(said, plain(`Peak ≈ ${short.formula} = ${(peak.bytes / 2 ** 30).toFixed(2)} GiB`).replaceAll("C2", "C²"));
    const words = await page.locator(".terms small").allInnerTexts();
    assert.equal(words.length, short.formula.split(" + ").length);
    assert.match(words[0], /activations: mlp mul/);
    assert.match(words[1], /activations: lm_head mm, loss log_softmax · temporaries: loss/);
    await page.getByLabel("exact").check();
    assert.ok((await page.locator(".sentence").innerText()).endsWith(`= ${peak.bytes.toLocaleString("en-US")} bytes`));
  }));

test("one's own letters, kept in the link and copied", () =>
  visit("#model=gpt2&seq=512", {}, async (page) => {
    await page.getByLabel("letter of seq").fill("s");
    await page.getByLabel("letter of seq").press("Enter");
    await page.waitForFunction(() => location.hash.includes("letters=T%3Ds"));
    await settled(page);
    const copied = async (name) => {
      await page.getByRole("group", { name: "Copy the formula as" }).getByRole("button", { name, exact: true }).click();
      await page.waitForFunction((text) => document.querySelector(".formula [role=status]").textContent.startsWith(text), name);
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const { peak, short } = formulaOf("gpt2", "--seq", "512", "--letters", "T=s");
    const text = await copied("text");
    assert.ok(text.startsWith(`Peak = ${peak.formula} = `) && text.includes("s = 512 (seq)"));
    assert.ok((await copied("exact LaTeX")).includes(`= ${peak.latex} \\text{ bytes}`));
    assert.ok((await copied("short LaTeX")).includes(`\\approx ${short.latex} \\text{ bytes}`));
    await page.getByLabel("letter of seq").fill("");
    await page.getByLabel("letter of seq").press("Enter");
    await page.waitForFunction(() => !location.hash.includes("letters"));
  }));

test("of one sequence, the formula of more is said in B", () =>
  visit("#model=gpt2&batch=1", {}, async (page) => {
    await page.waitForSelector(".in-batch");
    assert.ok((await page.locator(".in-batch").innerText()).endsWith(formulaOf("gpt2", "--batch", "2").short.formula));
  }));
