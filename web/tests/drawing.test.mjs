// What is drawn, read back: the plot's stack against the numbers, texts and buttons against one another.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { launch, open, serve, settled } from "./browser.mjs";

const program = process.env.PEAKMEM ?? fileURLToPath(new URL("../../build/peakmem", import.meta.url));
const MODELS = ["granite-3.0-2b", "gpt2", "llama-3.2-1b", "qwen3-0.6b", "bert-base-uncased", "t5-small"];
const WIDTHS = [360, 480, 640, 760, 900, 1180, 1366, 1600];
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
let server;
let browser;

before(async () => {
  server = await serve();
  browser = await launch();
});
after(async () => {
  await browser.close();
  server.close();
});

/** A page at a hash, closed again whatever happens. */
async function visit(hash, options, body) {
  const opened = await open(browser, server.url + hash, options);
  try {
    await settled(opened.page);
    await body(opened.page);
  } finally {
    await opened.close();
  }
}

/** The plot as it is drawn: heights of the axis's ticks by their text, and of the points on top of the stack. */
const drawn = (page) =>
  page.evaluate(() => {
    const plot = document.querySelector(".sweep svg");
    const ticks = [...plot.querySelectorAll(".axis g")].map((tick) => [
      tick.querySelector("text").textContent,
      Number(/,([-\d.]+)\)/.exec(tick.getAttribute("transform"))[1]),
    ]);
    const path = [...plot.querySelectorAll(".layer")].pop().getAttribute("d");
    const heights = [...path.matchAll(/[ML]?[-\d.]+,([-\d.]+)/g)].map((point) => Number(point[1]));
    const values = [...document.querySelectorAll(".sweep tbody th")].map((each) => Number(each.textContent.replaceAll(",", "")));
    return { ticks, top: heights.slice(0, heights.length / 2), values };
  });

const bytesOf = (text) => {
  const [number, unit = "B"] = text.split(" ");
  return Number(number) * 1024 ** UNITS.indexOf(unit);
};

for (const model of MODELS)
  test(`the stack's top is what is allocated, at every point: ${model}`, () =>
    visit(`#model=${model}&precision=bf16&batch=2`, {}, async (page) => {
      const { ticks, top, values } = await drawn(page);
      const [zero, last] = [ticks[0], ticks[ticks.length - 1]];
      const bytesAt = (height) => (bytesOf(last[0]) * (height - zero[1])) / (last[1] - zero[1]);
      const shown = values.slice(0, top.length);
      const words = ["sweep", model, "--precision", "bf16", "--over", "batch", "--values", shown.join(), "--json"];
      const { points } = JSON.parse(execFileSync(program, words, { encoding: "utf8", maxBuffer: 1 << 26 })).sweep;
      assert.ok(top.length >= 2);
      top.forEach((height, i) => {
        const allocated = points[i].allocated_bytes;
        assert.ok(Math.abs(bytesAt(height) - allocated) <= 2e-4 * bytesOf(last[0]), `batch ${shown[i]}: ${bytesAt(height)} drawn, ${allocated} allocated`);
      });
    }));

/** Pairs of texts and buttons that lie on one another, as far as they are seen. */
const overlaps = (page) =>
  page.evaluate(() => {
    const seen = (box, element) => {
      let { left, right, top, bottom } = box;
      if (!element.checkVisibility()) return null; // what a closed group holds
      for (let each = element; each; each = each.parentElement) {
        const style = getComputedStyle(each);
        if (style.visibility === "hidden" || style.opacity === "0" || style.clipPath !== "none") return null;
        if (style.overflowX === "visible" || each === document.documentElement || each === document.body) continue;
        const clip = each.getBoundingClientRect();
        [left, right] = [Math.max(left, clip.left), Math.min(right, clip.right)];
        [top, bottom] = [Math.max(top, clip.top), Math.min(bottom, clip.bottom)];
      }
      return right - left > 1 && bottom - top > 1 ? { left, right, top, bottom } : null;
    };
    const found = [];
    const add = (box, element, text) => {
      const part = seen(box, element);
      if (part) found.push({ ...part, element, text });
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.textContent.trim() || ["OPTION", "STYLE", "SCRIPT"].includes(node.parentElement.tagName)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const box of range.getClientRects()) add(box, node.parentElement, node.textContent.trim().slice(0, 40));
    }
    for (const control of document.querySelectorAll("button, select, input, textarea"))
      add(control.getBoundingClientRect(), control, `${control.tagName} ${control.getAttribute("aria-label") ?? control.textContent.slice(0, 30)}`);
    const within = (a, b) => a.element.contains(b.element) || b.element.contains(a.element) || a.element.closest("math, label, button") === b.element.closest("math, label, button") && a.element.closest("math, label, button");
    const pairs = [];
    found.forEach((a, i) =>
      found.slice(i + 1).forEach((b) => {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 1 && high > 3 && !within(a, b)) pairs.push(`${a.text} | ${b.text}: ${wide.toFixed(1)} × ${high.toFixed(1)}`);
      }),
    );
    return pairs;
  });

for (const width of WIDTHS)
  for (const hash of ["#model=llama-3.2-1b&precision=bf16&seq=2048&gpu=rtx-4090", "#model=gpt2&gpu=t4&~over=seq&~ledger=map"])
    test(`nothing lies on anything else, ${width} wide, ${hash}`, () =>
      visit(hash, { width, height: 900 }, async (page) => assert.deepEqual(await overlaps(page), [])));

test("a link that is refused says why at the top, and leads to the field", async () => {
  const opened = await browser.newContext({ viewport: { width: 800, height: 900 } });
  const page = await opened.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`${server.url}#model=gpt2&batch=eight`);
  await page.waitForSelector(".problem-line:not(:empty)");
  assert.match(await page.locator(".problem-line").innerText(), /--batch: must be a whole number/);
  await page.getByRole("button", { name: "Go to the field" }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), "field-batch");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("4");
  await page.waitForSelector(".verdict");
  assert.equal(await page.locator(".problem-line").innerText(), "");
  await opened.close();
});

test("a link whose config cannot be read says so, until a model is chosen", async () => {
  const { page, close } = await open(browser, `${server.url}#config=%7B"model_type"&batch=2`);
  assert.match(await page.locator(".problem-line").innerText(), /config: the link holds one that is no JSON/);
  await page.locator("#field-model").selectOption("gpt2-medium");
  assert.equal(await page.locator(".problem-line").innerText(), "");
  await close();
});
