// Peakmem for JavaScript: const peakmem = await load(bytesOfTheWasmFile); peakmem.answer({...}).

/** @param {BufferSource} bytes what peakmem.wasm holds */
export async function load(bytes) {
  const textAt = (start, bytes) => new TextDecoder().decode(new Uint8Array(core.memory.buffer, start, bytes));
  const { instance } = await WebAssembly.instantiate(bytes, { env: { number: (start, bytes) => Number(textAt(start, bytes)) } });
  const core = instance.exports;
  core._initialize();

  /** The response to a request, both JSON texts. */
  function answerText(request) {
    const text = new TextEncoder().encode(request);
    const address = core.allocate(text.length);
    new Uint8Array(core.memory.buffer, address, text.length).set(text);
    const start = core.run(address, text.length);
    core.release(address);
    // The memory may have grown, and its buffer with it: look at it only now.
    return textAt(start, core.response_bytes());
  }

  return { answerText, answer: (request) => JSON.parse(answerText(JSON.stringify(request))) };
}
