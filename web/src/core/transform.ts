// The small modules of wasm/packing: one input, one result.

interface Exports {
  memory: WebAssembly.Memory;
  input(bytes: number): number;
  result_bytes(): number;
  [name: string]: unknown;
}

/** What `name` of the module makes of `input`. */
export async function transform(module: Uint8Array, name: "split" | "unpack", input: Uint8Array): Promise<Uint8Array> {
  const { instance } = await WebAssembly.instantiate(module as BufferSource, {});
  const exports = instance.exports as unknown as Exports;
  const at = exports.input(input.length);
  new Uint8Array(exports.memory.buffer).set(input, at);
  const result = (exports[name] as (bytes: number) => number)(input.length);
  return new Uint8Array(exports.memory.buffer, result, exports.result_bytes());
}
