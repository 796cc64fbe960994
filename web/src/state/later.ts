// Work that may wait until the answer is on the screen: one piece after the other, newest wishes first in line.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

type Piece = () => void;
const waiting = new Map<object, Piece>();
let scheduled = false;

function runOne(): void {
  const next = waiting.entries().next();
  if (next.done) {
    scheduled = false;
    return;
  }
  const [owner, piece] = next.value;
  waiting.delete(owner);
  piece();
  schedule();
}
function schedule(): void {
  scheduled = true;
  // After the next frame is painted.
  requestAnimationFrame(() => setTimeout(runOne));
}
function wish(owner: object, piece: Piece): void {
  waiting.delete(owner);
  waiting.set(owner, piece);
  if (!scheduled) schedule();
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
export function useLater<T>(key: string, work: (soFar: T | null) => { value: T; done: boolean }): Later<T> {
  const [found, setFound] = useState<{ key: string; value: T; done: boolean } | null>(null);
  const owner = useRef({});
  useEffect(() => {
    const step = (soFar: T | null): void =>
      wish(owner.current, () => {
        const { value, done } = work(soFar);
        setFound({ key, value, done });
        if (!done) step(value);
      });
    step(null);
    return () => {
      waiting.delete(owner.current);
    };
    // `work` follows from the key.
  }, [key]);
  const [value, stale] = [found?.value ?? null, found?.key !== key || !found.done];
  return useMemo(() => ({ value, stale }), [value, stale]);
}
