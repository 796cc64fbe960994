// The build packs the core with LZMA, a fifth smaller than gzip would make it, and writes it in base64.
import { LZMA } from "lzma/src/lzma-d-min.js";

export function unpack(packed: string): Uint8Array {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const content = LZMA.decompress(bytes);
  if (typeof content === "string") throw new Error("the core is no program");
  return Uint8Array.from(content);
}
