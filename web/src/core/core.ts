// The core, loaded from what the build put into the page, and asked in JSON.
import { packed, unpacker } from "virtual:core";
import { transform } from "./transform.ts";
import type { Answer } from "./answers.ts";

/** A set-up as the core reads it: a shipped model's name or a config, and options of the command line. */
export interface Subject {
  model: string | object | null;
  name?: string;
  options: Record<string, string | number | boolean>;
}
export type Question =
  | ({ command: string } & Partial<Subject>)
  | { command: "compare"; a: Subject; b: Subject };

export interface Core {
  ask<T extends object>(question: Question): Answer<T>;
}

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(bytes: number): number;
  release(address: number): void;
  run(address: number, bytes: number): number;
  response_bytes(): number;
}

/** `Uint8Array.from` with a function takes twenty times as long. */
function fromBase64(text: string): Uint8Array {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

const decoder = new TextDecoder();
/** The text that stands in the core's memory, which may have grown, and its buffer with it. */
const textAt = ({ memory }: Exports, at: number, bytes: number): string => decoder.decode(new Uint8Array(memory.buffer, at, bytes));

/** A trap leaves the instance in an unknown state, so the next question gets a new one. */
export async function loadCore(): Promise<Core> {
  const bytes = await transform(fromBase64(unpacker), "unpack", fromBase64(packed));
  const module = await WebAssembly.compile(bytes as BufferSource);
  const start = (): Exports => {
    const number = (at: number, bytes: number): number => Number(textAt(exports, at, bytes));
    const exports = new WebAssembly.Instance(module, { env: { number } }).exports as unknown as Exports;
    exports._initialize();
    return exports;
  };
  let core = start();
  const respond = (request: string): string => {
    const text = new TextEncoder().encode(request);
    const address = core.allocate(text.length);
    new Uint8Array(core.memory.buffer, address, text.length).set(text);
    const response = core.run(address, text.length);
    core.release(address);
    return textAt(core, response, core.response_bytes());
  };
  return {
    ask: <T extends object>(question: Question): Answer<T> => {
      try {
        return JSON.parse(respond(JSON.stringify(question))) as Answer<T>;
      } catch (reason) {
        core = start();
        return { error: { field: "", problem: "the core could not finish", hint: String(reason) } };
      }
    },
  };
}
