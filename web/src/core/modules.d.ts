declare module "virtual:core" {
  /** peakmem.wasm packed with LZMA, in base64, and its size unpacked. */
  export const packed: string;
  export const size: number;
}
declare module "*.css";
