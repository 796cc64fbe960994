// Colours that everybody tells apart, said in a legend; axes that say what they are; text of one size, to be read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { difference, contrast, rgbOf, KINDS } from "./colour.mjs";
import { pages } from "./browser.mjs";

const { visit } = pages();
const LEAST = 20; // CIEDE2000, between neighbours
const SETUP = "#model=gpt2&gpu=rtx-4090";
const ORDER = ["weights", "gradients", "optimizer", "activations", "temporaries", "inputs", "buffers", "rounding", "workspace", "other"];
const LARGE = 5; // of any two of which what lies between may be nothing

for (const dark of [false, true])
  test(`neighbours differ by ${LEAST} for every kind of colour blindness, ${dark ? "dark" : "light"}`, () =>
    visit(SETUP, { dark }, async (page) => {
      const colours = await page.evaluate(
        (names) => {
          const probe = document.body.appendChild(document.createElement("i"));
          return names.map((name) => ((probe.style.color = `var(--${name})`), getComputedStyle(probe).color));
        },
        ORDER,
      );
      ORDER.forEach((a, i) =>
        ORDER.slice(i + 1).forEach((b, k) => {
          const j = i + 1 + k;
          if (j > i + 1 && j >= LARGE) return;
          for (const kind of KINDS) {
            const found = difference(rgbOf(colours[i]), rgbOf(colours[j]), kind);
            assert.ok(found >= LEAST, `${a} and ${b}, ${kind}: ${found.toFixed(1)}`);
          }
        }),
      );
    }));

test("a legend names every category that is drawn, in its colour", () =>
  visit(SETUP, {}, async (page) => {
    for (const [panel, drawn] of [[".verdict", ".bar span:not(.outside)"], [".sweep", "path.layer"]]) {
      const colours = await page.$$eval(`${panel} ${drawn}`, (all) => all.map((each) => each.style.fill || each.style.background));
      const legend = await page.$$eval(`${panel} .legend .swatch:not(.outside)`, (all) => all.map((each) => each.style.background));
      assert.ok(colours.length > 3);
      assert.deepEqual(legend, colours);
    }
  }));

test("axes are labelled, and say where they are logarithmic", () =>
  visit(SETUP, {}, async (page) => {
    const texts = await page.locator(".sweep svg").textContent();
    assert.match(texts, /memory/);
    assert.match(texts, /batch, on a logarithmic scale/);
    assert.match(await page.locator("svg.timeline").textContent(), /memory.*in their order/);
  }));

for (const dark of [false, true])
  test(`text in pictures has one size at any width, and is readable, ${dark ? "dark" : "light"}`, async () => {
    for (const width of [360, 900, 1600])
      await visit(`${SETUP}&~ledger=map`, { width, dark }, async (page) => {
        const texts = await page.evaluate(() =>
          [...document.querySelectorAll("svg text")].map((each) => {
            const cell = each.closest(".cell")?.querySelector("rect");
            const style = getComputedStyle(each);
            const scale = each.ownerSVGElement.getBoundingClientRect().width / each.ownerSVGElement.viewBox.baseVal.width;
            const surface = getComputedStyle(each.closest(".panel")).backgroundColor;
            const [paint, opacity] = cell ? [getComputedStyle(cell).fill, Number(getComputedStyle(cell).fillOpacity)] : [surface, 1];
            return { text: each.textContent, size: parseFloat(style.fontSize) * scale, fill: style.fill, surface, paint, opacity };
          }),
        );
        assert.ok(texts.length > 20);
        for (const { text, size, fill, surface, paint, opacity } of texts) {
          assert.ok(Math.abs(size - 12) < 0.3, `${text}: ${size} at ${width}`);
          const under = rgbOf(paint).map((each, i) => each * opacity + rgbOf(surface)[i] * (1 - opacity));
          assert.ok(contrast(rgbOf(fill), under) >= 4.5, `${text}: ${contrast(rgbOf(fill), under).toFixed(2)}`);
        }
      });
  });

test("prints whole, without what cannot be pressed on paper", () =>
  visit(SETUP, { width: 1440, height: 900 }, async (page) => {
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator(".form").isVisible(), false);
    assert.ok(await page.locator(".notes").isVisible());
    assert.ok((await page.evaluate(() => document.documentElement.scrollHeight)) > 1200);
  }));

test("forced colours leave the categories theirs", () =>
  visit(SETUP, { forcedColors: "active" }, async (page) => {
    const fills = await page.$$eval("path.layer", (all) => all.map((each) => getComputedStyle(each).fill));
    assert.equal(new Set(fills).size, fills.length);
  }));
