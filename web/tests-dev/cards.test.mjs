// Cards: several at once, what fits on one as a map, and what would make it fit.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { pages } from "./browser.mjs";

const program = process.env.PEAKMEM ?? fileURLToPath(new URL("../../build/peakmem", import.meta.url));
const { visit } = pages();
const asked = (...words) => {
  try {
    return JSON.parse(execFileSync(program, [...words, "--json"], { encoding: "utf8" }));
  } catch (failure) {
    return JSON.parse(failure.stdout); // it does not fit: exit code 1
  }
};
const strip = (page) => page.locator(".cards .card");

test("several cards as a strip, with the core's verdicts; a click takes one", () =>
  visit("#model=gpt2&gpu=t4,l4,24GiB", {}, async (page) => {
    await page.waitForFunction(() => document.querySelectorAll(".cards .card").length === 3);
    const { rows } = asked("gpt2", "--gpu", "t4,l4,24GiB").cards;
    const shown = await strip(page).evaluateAll((all) => all.map((each) => each.className.replace("card ", "").replaceAll("-", " ")));
    assert.deepEqual(shown, rows.map((row) => row.verdict));
    assert.match(await page.locator(".verdict .peak").innerText(), / on t4/);
    await strip(page).nth(1).click();
    await page.waitForFunction(() => / on l4/.test(document.querySelector(".verdict .peak").textContent));
  }));

test("batch against length as a map: what the core says of each, and a cell takes both", () =>
  visit("#model=gpt2&gpu=t4", {}, async (page) => {
    await page.waitForFunction(() => document.querySelectorAll(".fit-map tbody tr").length === 5 && !document.querySelector(".panel.stale"));
    const cells = await page.$$eval(".fit-map tbody button", (all) => all.map((each) => each.getAttribute("aria-label")));
    assert.ok(cells.length >= 21); // gpt2 has no positions beyond 1024
    for (const cell of [cells[0], cells[5], cells[20]]) {
      const [, batch, seq, verdict] = /batch (\d+), seq (\d+): .*, (.*)$/.exec(cell);
      assert.equal(verdict, asked("gpt2", "--gpu", "t4", "--batch", batch, "--seq", seq).fits.verdict);
    }
    await page.getByRole("button", { name: "batch 4, seq 512:" }).click();
    await page.waitForFunction(() => location.hash.includes("batch=4") && location.hash.includes("seq=512"));
  }));

test("fit it for me: the core's suggestions, each a click away", () =>
  visit("#model=gpt2&gpu=t4&batch=16", {}, async (page) => {
    await page.getByRole("button", { name: "Fit it for me" }).click();
    await page.waitForSelector(".suggestions > li", { timeout: 60_000 });
    const { suggestions } = asked("advise", "gpt2", "--gpu", "t4", "--batch", "16").advice;
    assert.equal(await page.locator(".suggestions > li").count(), suggestions.length);
    await page.locator(".suggestions > li > button").first().click();
    await page.waitForFunction(() => !document.querySelector(".suggestions"));
    assert.equal(await page.locator(".verdict .badge").innerText(), suggestions[0].verdict);
  }));
