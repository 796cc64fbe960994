// How wide a picture is, so that its units are pixels and its text has one size whatever the screen.
import { useEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";

const LEAST = 240;

/** The element to watch, and its width in pixels; `usual` until it is known. */
export function useWidth(usual: number): { box: RefObject<HTMLDivElement>; width: number } {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(usual);
  useEffect(() => {
    const seen = new ResizeObserver(() => setWidth(Math.max(LEAST, Math.round(box.current?.clientWidth ?? usual))));
    if (box.current) seen.observe(box.current);
    return () => seen.disconnect();
  }, []);
  return { box, width };
}
