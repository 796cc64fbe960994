// node --test web/tests/: the built page in Debian's Chromium. PEAKMEM names the command line (build/peakmem).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { drop, FILE, launch, open, serve, settled, tensorBytes } from "./browser.mjs";

const MOST_BYTES = 400_000; // of everything together, gzipped (README.md)
const program = process.env.PEAKMEM ?? fileURLToPath(new URL("../../build/peakmem", import.meta.url));
const SETUP = "#model=llama-3.2-1b&precision=bf16&batch=2&seq=2048&gpu=rtx-4090&optimizer-impl=fused";
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

/** A test with a page at a hash; nothing may be complained of in the console, and nothing be asked of the network. */
const pageTest = (name, hash, options, body) =>
  test(name, async () => {
    const opened = await open(browser, server.url + hash, options);
    try {
      await body(opened.page);
      assert.deepEqual(opened.complaints, []);
    } finally {
      await opened.close();
    }
  });

const field = (page, name) => page.locator(`#field-${name}`);
/** What stands beside a field as wrong. */
const problemOf = (page, name) => page.locator(`#field-${name}-problem`).innerText();
const openGroups = (page) => page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
/** What the command line says, as JSON. */
const asked = (words) => {
  try {
    return JSON.parse(execFileSync(program, [...words, "--json"], { encoding: "utf8" }));
  } catch (failure) {
    return JSON.parse(failure.stdout); // it does not fit: exit code 1
  }
};
const GOOD = JSON.parse(await readFile(new URL("../../data/models/gpt2.json", import.meta.url), "utf8"));
const config = GOOD.config ?? GOOD;

test("everything together is small", async () => {
  assert.ok(gzipSync(await readFile(FILE), { level: 9 }).length <= MOST_BYTES);
});

pageTest("the answer is the core's", SETUP, {}, async (page) => {
  await settled(page);
  assert.equal(page.workers().length, 1); // what follows the estimate is off this thread
  const words = "llama-3.2-1b --precision bf16 --batch 2 --seq 2048 --gpu rtx-4090 --optimizer-impl fused".split(" ");
  assert.equal(await tensorBytes(page), asked(words).peak.tensor_bytes);
  assert.equal(await page.locator(".badge").first().innerText(), "tight");
  const solved = asked("solve llama-3.2-1b --for batch --precision bf16 --seq 2048 --gpu rtx-4090 --optimizer-impl fused".split(" "));
  assert.match(await page.locator(".sweep header").innerText(), new RegExp(`fits: ${solved.solve.value}\\b`));
});

pageTest("from a file, without a network", "", { offline: false }, async () => {
  const opened = await open(browser, pathToFileURL(FILE).href + SETUP, { offline: true });
  await settled(opened.page);
  assert.ok((await tensorBytes(opened.page)) > 0);
  assert.deepEqual(opened.complaints, []);
  await opened.close();
});

pageTest("every option of an estimate is a field with its help", "", {}, async (page) => {
  await settled(page); // the groups that are closed are filled after the first paint
  const { options } = asked(["options"]);
  for (const row of options.filter((each) => each.commands.includes("estimate") && each.name !== "json")) {
    assert.equal(await field(page, row.name).count(), 1, row.name);
    assert.equal(await page.locator(`#field-${row.name}-help`).textContent(), row.help);
  }
});

pageTest("a link is an answer", "", {}, async (page) => {
  await openGroups(page);
  await field(page, "model").selectOption("qwen2.5-1.5b");
  await field(page, "batch").fill("3");
  await field(page, "checkpointing").selectOption("full");
  await field(page, "clip-grad").check();
  await field(page, "gpu").selectOption("a100-40gb");
  await page.getByRole("button", { name: "Pin this set-up" }).click();
  await field(page, "seq").fill("2048");
  await page.getByRole("button", { name: "map" }).click();
  await page.getByLabel("what the plot varies").selectOption("seq");
  await page.waitForFunction(() => location.hash.includes("over"));
  const link = await page.evaluate(() => location.href);
  const again = await open(browser, link);
  await settled(again.page);
  assert.equal(await tensorBytes(again.page), await tensorBytes(page));
  assert.equal(await field(again.page, "batch").inputValue(), "3");
  assert.ok(await field(again.page, "clip-grad").isChecked());
  assert.equal(await again.page.locator(".pinned").count(), 1);
  assert.equal(await again.page.getByLabel("what the plot varies").inputValue(), "seq");
  assert.equal(await again.page.locator(".cell").count() > 0, true);
  await again.page.waitForTimeout(300); // the time after which a link is written
  assert.equal(await again.page.evaluate(() => location.href), link);
  await again.close();
});

pageTest("a good config is taken", "", {}, async (page) => {
  await drop(page, "mine.json", JSON.stringify({ ...config, n_layer: 3 }));
  await page.waitForFunction(() => document.querySelector(".verdict h2").textContent === "mine.json");
  const folder = await mkdtemp(join(tmpdir(), "peakmem-"));
  const path = join(folder, "mine.json");
  await writeFile(path, JSON.stringify({ ...config, n_layer: 3 }));
  assert.equal(await tensorBytes(page), asked([path]).peak.tensor_bytes);
});

pageTest("a pasted config is taken, a shipped file with its source too", "", {}, async (page) => {
  await page.getByRole("button", { name: "Paste" }).click();
  await page.getByLabel("A config.json as text").fill(JSON.stringify({ source: "somewhere", config: { ...config, n_layer: 2 } }));
  await page.getByRole("button", { name: "Use it" }).click();
  await page.waitForFunction(() => document.querySelector(".verdict h2").textContent === "pasted config");
});

const bad = {
  "no JSON": "{",
  "no object": "[1, 2]",
  "empty": "",
  "too large": `{"model_type": "gpt2", "x": "${"x".repeat(3 << 20)}"}`,
  "another kind of model": '{"model_type": "mamba"}',
  "sizes that overflow": JSON.stringify({ ...config, n_embd: 9007199254740991, n_layer: 1e15 }),
  "sizes of the wrong kind": JSON.stringify({ ...config, n_embd: "<img src=x onerror=alert(1)>" }),
  "deep": `${"[".repeat(100000)}${"]".repeat(100000)}`,
  "markup": '{"model_type": "<script>alert(1)</script>"}',
  "a prototype": '{"__proto__": {"model": "gpt2"}, "constructor": 1}',
};
for (const [name, content] of Object.entries(bad))
  pageTest(`a config with ${name} is refused, and nothing typed is lost`, "#model=gpt2-medium&batch=3", {}, async (page) => {
    await field(page, "seq").fill("512");
    const before = await tensorBytes(page);
    await drop(page, "<b>hostile</b>.json", content);
    await page.waitForSelector(".model .problem");
    assert.match(await page.locator(".model .problem").innerText(), /hostile/);
    assert.equal(await field(page, "model").inputValue(), "gpt2-medium");
    assert.equal(await field(page, "batch").inputValue(), "3");
    assert.equal(await field(page, "seq").inputValue(), "512");
    assert.equal(await tensorBytes(page), before);
    assert.equal(await page.locator("b").count(), 0);
  });

for (const hash of ["#batch=%E0%A4%A", "#config=%7B", "#model=%00&~pin=~pin%3D&x=y", "#config=[]&batch=1e99", `#model=${"a".repeat(9000)}`])
  test(`a broken link is shown as such: ${hash.slice(0, 30)}`, async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(server.url + hash);
    await page.waitForSelector(".form select");
    assert.deepEqual(errors, []);
    await context.close();
  });

pageTest("what is wrong stands beside its field, and the last answer stays", "", {}, async (page) => {
  const before = await tensorBytes(page);
  await field(page, "batch").fill("eight");
  assert.match(await problemOf(page, "batch"), /whole number/);
  assert.equal(await field(page, "batch").getAttribute("aria-invalid"), "true");
  assert.match(await field(page, "batch").getAttribute("aria-describedby"), /problem/);
  assert.equal(await tensorBytes(page), before);
  await field(page, "batch").fill("8");
  assert.equal(await page.locator(".field .problem").count(), 0);
});

pageTest("a step goes to a size that the core accepts", "", {}, async (page) => {
  await openGroups(page);
  const before = await tensorBytes(page);
  await page.getByRole("button", { name: "more heads" }).click();
  await page.waitForFunction(() => document.querySelector("#field-heads").value !== "");
  assert.equal(await page.locator(".field .problem").count(), 0);
  await page.getByRole("button", { name: "more layers" }).click();
  assert.notEqual(await tensorBytes(page), before);
});

pageTest("by keyboard alone", SETUP, {}, async (page) => {
  await settled(page);
  const reach = async (matches, most = 400) => {
    for (let i = 0; i < most; ++i) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, matches)) return;
    }
    assert.fail(`${matches} is never reached`);
  };
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await reach('input[type="range"]');
  const before = await tensorBytes(page);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((bytes) => !document.querySelector(".levels").textContent.includes(bytes), before.toLocaleString("en-US"));
  await settled(page);
  await reach(".term");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none");
  assert.ok((await page.locator(".row.lit").count()) > 0);
  assert.equal(await page.locator(".term.lit").count(), 1);
  await reach(".row > button");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".why").count(), 1);
  await reach("svg.plot");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  assert.equal(await field(page, "batch").inputValue(), await page.locator("svg.plot").first().getAttribute("aria-valuenow"));
});

pageTest("a term lights up its rows, a row its terms", SETUP, {}, async (page) => {
  await settled(page);
  await page.locator(".term").first().hover();
  const lit = await page.locator(".row.lit").count();
  assert.ok(lit > 0 && lit < (await page.locator(".row").count()));
  await page.locator(".row > button").first().hover();
  assert.ok((await page.locator(".term.lit").count()) > 0);
});

pageTest("copies", SETUP, {}, async (page) => {
  await settled(page);
  const copied = async (name) => {
    await page.getByRole("group", { name: "Copy as" }).getByRole("button", { name }).click();
    await page.waitForFunction((text) => document.querySelector("[role=status]").textContent.startsWith(text), name);
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const line = await copied("command line");
  assert.match(line, /^peakmem llama-3.2-1b --precision bf16 /);
  assert.equal(asked(line.split(" ").slice(1)).peak.tensor_bytes, await tensorBytes(page));
  assert.match(await copied("Python"), /peakmem\.estimate\("llama-3\.2-1b", .*optimizer_impl="fused"\)/);
  assert.equal(JSON.parse(await copied("JSON")).peak.tensor_bytes, await tensorBytes(page));
  assert.match(await copied("LaTeX"), /\\,/);
  assert.match(await copied("link"), /#model=llama-3\.2-1b/);
});

pageTest("pictures are downloaded as SVG", SETUP, {}, async (page) => {
  await settled(page);
  await page.getByRole("button", { name: "map" }).click();
  for (const name of ["ledger", "plot", "timeline"]) {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: `download the ${name} as SVG` }).click(),
    ]);
    const text = await readFile(await download.path(), "utf8");
    assert.ok(text.startsWith("<svg") && text.includes('xmlns="http://www.w3.org/2000/svg"'));
    assert.ok(text.includes("rgb(") && !text.includes("var("));
  }
});

pageTest("a pinned set-up stands beside, with the core's differences", SETUP, {}, async (page) => {
  await settled(page);
  await page.getByRole("button", { name: "Pin this set-up" }).click();
  await field(page, "checkpointing").selectOption("full");
  await settled(page);
  const numbers = await page.locator(".differences tbody tr").first().innerText();
  assert.match(numbers, /−/);
  await page.getByRole("button", { name: "swap" }).click();
  assert.equal(await field(page, "checkpointing").inputValue(), "");
  await page.getByRole("button", { name: "unpin" }).click();
  assert.equal(await page.locator(".pinned").count(), 0);
});

pageTest("several set-ups are pinned, each with its difference, and in the link", "#model=gpt2&gpu=t4&batch=2", {}, async (page) => {
  const devices = [];
  for (const batch of ["2", "4", "6"]) {
    await field(page, "batch").fill(batch);
    devices.push((await page.locator(".peak output").innerText()).replace("\n", ""));
    if (batch !== "6") await page.getByRole("button", { name: "Pin this set-up" }).click();
  }
  await page.waitForFunction(() => document.querySelectorAll(".pins .worse").length === 2);
  const rows = await page.locator(".pins > li").allInnerTexts();
  rows.forEach((row, i) => assert.ok(row.includes(devices[i]) && row.includes(`--batch ${i * 2 + 2}`), row));
  await page.waitForFunction(() => location.hash.split("pin=").length === 3);
  await page.getByRole("button", { name: "unpin" }).first().click();
  assert.equal(await page.locator(".pins > li").count(), 1);
});

pageTest("undo takes back a change, all steps of a slider as one", "#model=gpt2&batch=2", {}, async (page) => {
  const undo = page.getByRole("button", { name: "Undo" });
  assert.ok(await undo.isDisabled());
  const before = await tensorBytes(page);
  for (let i = 0; i < 3; ++i) await page.getByRole("button", { name: "more batch" }).click();
  await field(page, "model").selectOption("gpt2-medium");
  await undo.click();
  assert.equal(await field(page, "model").inputValue(), "gpt2");
  assert.equal(await field(page, "batch").inputValue(), "5");
  await undo.click();
  assert.equal(await tensorBytes(page), before);
  assert.ok(await undo.isDisabled());
});

pageTest("the plot takes what it varies from the sizes of the model", "", {}, async (page) => {
  await settled(page);
  await page.getByLabel("what the plot varies").selectOption("layers");
  await settled(page);
  assert.equal(await page.locator("svg.plot").first().getAttribute("aria-valuenow"), "12");
});

pageTest("no motion where none is wanted", "", { reducedMotion: "reduce" }, async (page) => {
  const moving = await page.evaluate(() =>
    [...document.querySelectorAll("*")].filter((each) => {
      const style = getComputedStyle(each);
      return style.animationName !== "none" || style.transitionDuration.split(", ").some((time) => parseFloat(time) > 0);
    }).length,
  );
  assert.equal(moving, 0);
});

pageTest("numbers can be selected", "", {}, async (page) => {
  for (const place of [".peak output", ".levels .number", ".row .number"])
    assert.notEqual(await page.locator(place).first().evaluate((each) => getComputedStyle(each).userSelect), "none");
});
