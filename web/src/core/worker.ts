// The core off the main thread: the module first, then questions, each answered with its number.
import { responder } from "./instance.ts";

let respond: ((request: string) => string) | null = null;
self.onmessage = ({ data }: MessageEvent<WebAssembly.Module | { id: number; request: string }>) => {
  if (data instanceof WebAssembly.Module) respond = responder(data);
  else if (respond) self.postMessage({ id: data.id, response: respond(data.request) });
};
