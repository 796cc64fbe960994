import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const wasm = fileURLToPath(new URL("../build-wasm/peakmem.wasm", import.meta.url));

/** The module "virtual:core": peakmem.wasm packed with LZMA, in base64. */
const core: Plugin = {
  name: "core",
  resolveId: (id) => (id === "virtual:core" ? "\0core" : null),
  load(id) {
    if (id !== "\0core") return null;
    this.addWatchFile(wasm);
    const packed = execFileSync("xz", ["--format=lzma", "--lzma1=preset=9e,pb=0", "--stdout", wasm], { maxBuffer: 1 << 26 });
    const size = statSync(wasm).size;
    return `export const packed = ${JSON.stringify(packed.toString("base64"))}, size = ${size};`;
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
          "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'",
      },
      injectTo: "head-prepend",
    },
  ],
};

export default defineConfig({
  base: "./",
  plugins: [core, sealed, viteSingleFile()],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: { modulePreload: { polyfill: false }, target: "es2022", outDir: "../build-web", emptyOutDir: true, chunkSizeWarningLimit: 1000 },
});
