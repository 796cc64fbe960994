// The core, loaded from what the build put into the page, and asked in JSON.
import { packed, unpacker } from "virtual:core";
import { responder } from "./instance.ts";
import { transform } from "./transform.ts";
import CoreWorker from "./worker.ts?worker&inline";
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

/** `ask` answers at once, on the page's thread; `later` leaves it free, on a worker's. */
export interface Core {
  ask<T extends object>(question: Question): Answer<T>;
  later<T extends object>(question: Question): Promise<Answer<T>>;
}

/** `Uint8Array.from` with a function takes twenty times as long. */
function fromBase64(text: string): Uint8Array {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; ++i) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Asks a worker; without one (Chromium starts none for a page from a file) the page's own thread is asked. */
function askWorker(module: WebAssembly.Module, ask: (request: string) => string): (request: string) => Promise<string> {
  const waiting = new Map<number, { request: string; give(response: string): void }>();
  let worker: Worker | null = null;
  let asked = 0;
  const giveUp = (): void => {
    worker?.terminate();
    worker = null;
    waiting.forEach(({ request, give }) => give(ask(request)));
    waiting.clear();
  };
  try {
    worker = new CoreWorker();
    worker.onerror = worker.onmessageerror = giveUp;
    worker.onmessage = ({ data }: MessageEvent<{ id: number; response: string }>) => {
      waiting.get(data.id)?.give(data.response);
      waiting.delete(data.id);
    };
    worker.postMessage(module);
  } catch {
    giveUp();
  }
  return (request) =>
    new Promise((give) => {
      if (!worker) return give(ask(request));
      waiting.set(++asked, { request, give });
      worker.postMessage({ id: asked, request });
    });
}

export async function loadCore(): Promise<Core> {
  const bytes = await transform(fromBase64(unpacker), "unpack", fromBase64(packed));
  const module = await WebAssembly.compile(bytes as BufferSource);
  const respond = responder(module);
  const respondLater = askWorker(module, respond);
  return {
    ask: <T extends object>(question: Question) => JSON.parse(respond(JSON.stringify(question))) as Answer<T>,
    later: async <T extends object>(question: Question) => JSON.parse(await respondLater(JSON.stringify(question))) as Answer<T>,
  };
}
