// The page at several sizes, light and dark: held to WCAG by axe, nothing wider than the screen. PICTURES=1 keeps the
// screenshots that the README shows (docs/images/).
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { IMAGES, launch, open, serve, settled } from "./browser.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SETUP =
  "#model=llama-3.2-1b&precision=bf16&batch=2&seq=2048&gpu=rtx-4090&optimizer-impl=fused";
const PINNED = `${SETUP}&checkpointing=full&~ledger=map&~over=seq&~pin=${encodeURIComponent(SETUP.slice(1))}`;
const SIZES = [
  { width: 360, height: 740 },
  { width: 800, height: 1000 },
  { width: 1440, height: 900, keep: "page" },
  { width: 1920, height: 1080 },
];
let server;
let browser;

before(async () => {
  server = await serve();
  browser = await launch();
  await mkdir(IMAGES, { recursive: true });
});
after(async () => {
  await browser.close();
  server.close();
});

/** What axe finds wrong, as lines. */
const violations = async (page) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")} ${node.failureSummary}`));
};

for (const { width, height, keep } of SIZES)
  for (const dark of [false, true])
    for (const [what, hash] of [["first", SETUP], ["pinned", PINNED]])
      test(`${width} × ${height}, ${dark ? "dark" : "light"}, ${what}`, async () => {
        const opened = await open(browser, server.url + hash, { width, height, dark });
        const { page } = opened;
        try {
          await settled(page);
          assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
          assert.deepEqual(await violations(page), []);
          if (keep && process.env.PICTURES && dark === (what === "pinned"))
            await page.screenshot({ path: `${IMAGES}${keep}-${dark ? "dark" : "light"}.png` });
          if (width === 360 && process.env.PICTURES && !dark && what === "first")
            await page.screenshot({ path: `${IMAGES}page-narrow.png` });
          assert.deepEqual(opened.complaints, []);
        } finally {
          await opened.close();
        }
      });
