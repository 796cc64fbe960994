// The form: recipes, what cannot matter, sizes alone, one's own card.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pages, settled } from "./browser.mjs";

const { visit } = pages();
const field = (page, name) => page.locator(`#field-${name}`);
const recipe = (page, name) => page.getByRole("group", { name: "Recipe" }).getByRole("button", { name, exact: true });
const hashed = (page, part) => page.waitForFunction((text) => location.hash.includes(text), part);

test("a recipe is one step, takes back what another set, and leaves the rest", () =>
  visit("#model=llama-3.2-1b&seq=2048&gpu=rtx-4090", {}, async (page) => {
    await recipe(page, "QLoRA").click();
    await hashed(page, "quantize=nf4");
    assert.equal(await recipe(page, "QLoRA").getAttribute("aria-pressed"), "true");
    const small = await page.locator(".answer-line strong").first().innerText();
    await recipe(page, "full bf16").click();
    await page.waitForFunction(() => /precision=bf16$/.test(location.hash));
    assert.match(await page.evaluate(() => location.hash), /seq=2048&gpu=rtx-4090/);
    assert.notEqual(await page.locator(".answer-line strong").first().innerText(), small);
    for (const name of ["LoRA", "FSDP 8", "pretraining"]) {
      await recipe(page, name).click();
      assert.equal(await recipe(page, name).getAttribute("aria-pressed"), "true");
      assert.equal(await page.locator(".problem-line").innerText(), "");
    }
  }));

test("what cannot matter is not shown, by what the core refuses, until it can or is asked for", () =>
  visit("#model=gpt2", {}, async (page) => {
    await page.waitForFunction(() => document.querySelectorAll(".field[hidden]").length > 40);
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
    const shown = (name) => field(page, name).isVisible();
    for (const name of ["target-seq", "muon-matrices", "quantize", "tp", "eval-logits", "moe-imbalance"]) assert.equal(await shown(name), false, name);
    for (const name of ["optimizer", "precision", "attention", "fsdp", "zero", "lora-rank", "ddp", "init", "hidden"]) assert.equal(await shown(name), true, name);
    await field(page, "optimizer").selectOption("muon");
    await page.waitForFunction(() => !document.querySelector("#field-muon-matrices").closest("[hidden]"));
    await page.getByRole("button", { name: /that mean nothing here/ }).click();
    assert.equal(await page.locator(".field[hidden]").count(), 0);
  }));

test("sizes alone begin with a small GPT, in l, h, d and t", () =>
  visit("#model=bert-base-uncased", {}, async (page) => {
    await field(page, "model").selectOption("by sizes alone");
    await hashed(page, "layers=12&heads=12&hidden=768&seq=1024");
    await settled(page);
    for (const [name, letter] of [["layers", "l"], ["heads", "h"], ["hidden", "d"], ["seq", "t"]]) {
      assert.ok(await field(page, name).isVisible());
      assert.equal(await page.locator(`label[for=field-${name}]`).innerText(), `${name} ${letter}`);
    }
    assert.match((await page.locator(".term .math").allInnerTexts()).join().normalize("NFKD").replace(/\s/g, ""), /b·t·d·l/);
  }));

test("a card of one's own, in GiB", () =>
  visit("#model=gpt2&batch=2", {}, async (page) => {
    await page.getByLabel("or a card of").fill("12.5");
    await page.waitForFunction(() => /12\.50 GiB/.test(document.querySelector(".verdict .peak").textContent));
    assert.equal(await page.locator(".verdict .badge").innerText(), "fits");
    assert.equal(await field(page, "gpu").inputValue(), "12.5GiB");
  }));
