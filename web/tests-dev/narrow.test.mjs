// Where there is little room: the answer first, and always in sight.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pages } from "./browser.mjs";

const SETUP = "#model=gpt2&gpu=rtx-4090";
const { visit } = pages();
const boxOf = (page, selector) => page.locator(selector).first().boundingBox();

for (const [what, size] of [["a telephone", { width: 360, height: 740 }], ["1280 at 200 %", { width: 640, height: 400, deviceScaleFactor: 2 }]])
  test(`the answer stands before the form, and is whole on the first screen: ${what}`, () =>
    visit(SETUP, size, async (page) => {
      const [peak, form, formula] = await Promise.all([".peak", ".form", ".formula"].map((each) => boxOf(page, each)));
      assert.ok(peak.y + peak.height <= size.height);
      assert.ok(peak.y + peak.height <= form.y && form.y + form.height <= formula.y);
    }));

for (const size of [{ width: 360, height: 740 }, { width: 900, height: 700 }, { width: 1280, height: 600 }])
  test(`peak and verdict stay in sight, ${size.width} × ${size.height}`, () =>
    visit(SETUP, size, async (page) => {
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      const box = await boxOf(page, ".answer-line");
      assert.ok(box.y >= 0 && box.y + box.height <= 60, JSON.stringify(box));
      const [line, peak] = await Promise.all([".answer-line", ".peak output"].map((each) => page.locator(each).innerText()));
      assert.ok(line.startsWith(peak) && line.includes(await page.locator(".verdict .badge").innerText()));
      const lit = await page.evaluate(() => document.elementFromPoint(30, 10).closest(".answer-line") !== null || innerWidth >= 760);
      assert.ok(lit, "something lies on it");
    }));
