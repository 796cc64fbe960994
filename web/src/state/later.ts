// Work that may wait until the answer is on the screen, on the worker: one piece after the other, each wish in the order
// it was made, the latest of its kind alone.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

type Piece = () => Promise<void>;
const waiting = new Map<object, Piece>();
let running = false;

/** After the next frame is painted. */
const painted = (): Promise<void> => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));

async function run(): Promise<void> {
  running = true;
  await painted();
  for (let next = waiting.entries().next(); !next.done; next = waiting.entries().next()) {
    const [owner, piece] = next.value;
    waiting.delete(owner);
    await piece();
    await painted();
  }
  running = false;
}
function wish(owner: object, piece: Piece): void {
  waiting.delete(owner);
  waiting.set(owner, piece);
  if (!running) void run();
}

/** An answer that is worked out after the next paint; until then the last one, with `stale` set. */
export interface Later<T> {
  value: T | null;
  stale: boolean;
}

/**
 * `work` runs when `key` has changed. It gets what was found so far (null at first) and gives what is found now, and
 * whether that is all: if not it is called again, frames being painted in between.
 */
export function useLater<T>(key: string, work: (soFar: T | null) => Promise<{ value: T; done: boolean }>): Later<T> {
  const [found, setFound] = useState<{ key: string; value: T; done: boolean } | null>(null);
  const owner = useRef({});
  useEffect(() => {
    let wanted = true;
    const step = (soFar: T | null): void =>
      wish(owner.current, async () => {
        const { value, done } = await work(soFar);
        if (!wanted) return;
        setFound({ key, value, done });
        if (!done) step(value);
      });
    step(null);
    return () => {
      wanted = false;
      waiting.delete(owner.current);
    };
    // `work` follows from the key.
  }, [key]);
  const [value, stale] = [found?.value ?? null, found?.key !== key || !found.done];
  return useMemo(() => ({ value, stale }), [value, stale]);
}
