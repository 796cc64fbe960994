declare module "virtual:core" {
  const packed: string;
  export default packed;
}
declare module "lzma/src/lzma-d-min.js" {
  /** Without a callback the content is returned: bytes (signed), or a text where they are one. */
  export const LZMA: { decompress(bytes: Uint8Array): number[] | string };
}
declare module "*.css";
