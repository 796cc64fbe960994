// Debian's Chromium with the built page in it. Every page is watched: what it says in the console and what it asks for.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const FILE = fileURLToPath(new URL("../../build-web/index.html", import.meta.url));
export const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));

export async function serve() { return { url: 'http://127.0.0.1:8718/', close() {} }; }

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb", "--font-render-hinting=none"],
  });

/** The page at `url`, when its answer is there. `complaints`: console errors and requests beside the page itself. */
export async function open(browser, url, { width = 1440, height = 900, dark = false, ...more } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    permissions: ["clipboard-read", "clipboard-write"],
    ...more,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(90_000);
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const plain = request.url().replace(/#.*/, "");
    if (!plain.endsWith('/ask') && plain !== url.replace(/#.*/, "") && !/^(data|blob):/.test(plain)) complaints.push(`request: ${plain}`);
  });
  await page.goto(url);
  await page.waitForSelector("main .verdict");
  return { page, complaints, close: () => context.close() };
}

/** A browser for a file's tests. `visit` shows a hash, all worked out, and closes it again whatever happens. */
export function pages() {
  const held = {};
  before(async () => Object.assign(held, { server: await serve(), browser: await launch() }));
  after(async () => {
    await held.browser.close();
    held.server.close();
  });
  return {
    async visit(hash, options, body) {
      const opened = await open(held.browser, held.server.url + hash, options);
      try {
        await settled(opened.page);
        await body(opened.page);
        assert.deepEqual(opened.complaints, []);
      } finally {
        await opened.close();
      }
    },
  };
}

/** Waits until what is worked out after the answer is there too. */
export const settled = (page) =>
  page.waitForFunction(() => document.querySelector(".sweep svg") && document.querySelector(".terms") && !document.querySelector(".stale"));

/** The exact bytes of tensors that the page shows. */
export const tensorBytes = async (page) => {
  const text = await page.locator(".levels tr", { hasText: "tensors" }).innerText();
  return Number(/([0-9,]+) bytes/.exec(text)[1].replaceAll(",", ""));
};

/** Drops a file on the page, as a hand would. */
export const drop = (page, name, content) =>
  page.evaluate(
    ([name, content]) => {
      const files = new DataTransfer();
      files.items.add(new File([content], name, { type: "application/json" }));
      const over = new DragEvent("dragover", { dataTransfer: files, bubbles: true, cancelable: true });
      document.body.dispatchEvent(over);
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    },
    [name, content],
  );
