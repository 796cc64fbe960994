import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";
import { transform } from "./src/core/transform.ts";

const path = (name: string): string => fileURLToPath(new URL(`../build-wasm/${name}.wasm`, import.meta.url));
const PARTS = ["peakmem", "pack", "unpack"].map(path);
const SIZES = 4 * 10; // bytes of PackedSizes (wasm/packing/code_streams.h), which stay as they are
const XZ = ["--format=raw", "--lzma1=preset=9e,lc=1,pb=0", "--stdout"]; // as wasm/packing/lzma.h reads it

/** The module `wasm` as the page holds it: its code in streams, packed with LZMA. */
async function pack(wasm: Uint8Array, packer: Uint8Array, unpacker: Uint8Array): Promise<Buffer> {
  const split = await transform(packer, "split", wasm);
  const content = execFileSync("xz", XZ, { input: split.subarray(SIZES), maxBuffer: 1 << 26 });
  const packed = Buffer.concat([split.subarray(0, SIZES), content]);
  if (Buffer.compare(await transform(unpacker, "unpack", packed), wasm) !== 0) throw new Error("unpacked it is another");
  return packed;
}

/** The module "virtual:core": peakmem.wasm packed, and what unpacks it, in base64. */
const core: Plugin = {
  name: "core",
  resolveId: (id) => (id === "virtual:core" ? "\0core" : null),
  async load(id) {
    if (id !== "\0core") return null;
    PARTS.forEach((each) => this.addWatchFile(each));
    const [wasm, packer, unpacker] = PARTS.map((each) => readFileSync(each)) as [Buffer, Buffer, Buffer];
    const packed = await pack(wasm, packer, unpacker);
    const [all, small] = [packed, unpacker].map((each) => JSON.stringify(each.toString("base64")));
    return `export const packed = ${all}, unpacker = ${small};`;
  },
};

/** The built page may ask for nothing and send nothing: everything is in it. */
const sealed: Plugin = {
  name: "sealed",
  apply: "build",
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: {
        "http-equiv": "Content-Security-Policy",
        content:
          "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:; worker-src blob:; form-action 'none'; base-uri 'none'",
      },
      injectTo: "head-prepend",
    },
  ],
};

export default defineConfig({
  base: "./",
  plugins: [core, sealed, viteSingleFile()],
  worker: { format: "es" },
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: { modulePreload: { polyfill: false }, target: "es2022", outDir: "../build-web", emptyOutDir: true, chunkSizeWarningLimit: 1000 },
});
