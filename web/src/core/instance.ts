// An instance of the core, asked in JSON: on the page's thread, and on the worker's.

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  release(address: number): void;
  run(address: number, bytes: number): number;
  response_bytes(): number;
}

const decoder = new TextDecoder();
/** The text that stands in the core's memory, which may have grown, and its buffer with it. */
const textAt = ({ memory }: Exports, at: number, bytes: number): string => decoder.decode(new Uint8Array(memory.buffer, at, bytes));

/** Answers JSON with JSON. A trap leaves the instance in an unknown state, so the next question gets a new one. */
export function responder(module: WebAssembly.Module): (request: string) => string {
  const start = (): Exports => {
    const number = (at: number, bytes: number): number => Number(textAt(exports, at, bytes));
    const exports = new WebAssembly.Instance(module, { env: { number } }).exports as unknown as Exports;
    exports._initialize();
    return exports;
  };
  let core = start();
  return (request) => {
    try {
      const text = new TextEncoder().encode(request);
      const address = core.allocate(text.length);
      new Uint8Array(core.memory.buffer, address, text.length).set(text);
      const response = core.run(address, text.length);
      core.release(address);
      return textAt(core, response, core.response_bytes());
    } catch (reason) {
      core = start();
      return JSON.stringify({ error: { field: "", problem: "the core could not finish", hint: String(reason) } });
    }
  };
}
