declare module "virtual:core" {
  /** peakmem.wasm packed, and the module that unpacks it, both in base64. */
  export const packed: string;
  export const unpacker: string;
}
declare module "*.css";
declare module "*?worker&inline" {
  const made: new () => Worker;
  export default made;
}
