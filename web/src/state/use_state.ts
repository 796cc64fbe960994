// The state, kept in step with the URL's hash.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { fromHash, toHash, withOption, type Setup, type State, type View } from "./setup.ts";

const WRITE_AFTER_MS = 200; // browsers refuse a URL that changes with every step of a slider

export interface Shared {
  state: State;
  setSetup(setup: Setup): void;
  setOption(name: string, text: string): void;
  setView(view: Partial<View>): void;
}

export function useHashState(): Shared {
  const [state, setState] = useState(() => fromHash(location.hash));
  const written = useRef(location.hash);
  useEffect(() => {
    const write = (): void => {
      written.current = `#${toHash(state)}`;
      history.replaceState(null, "", written.current);
    };
    const timer = setTimeout(write, WRITE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [state]);
  useEffect(() => {
    const read = (): void => {
      if (location.hash !== written.current) setState(fromHash(location.hash));
    };
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  const setSetup = useCallback((setup: Setup) => setState((old) => ({ ...old, setup })), []);
  const setOption = useCallback(
    (name: string, text: string) => setState((old) => ({ ...old, setup: withOption(old.setup, name, text) })),
    [],
  );
  const setView = useCallback(
    (view: Partial<View>) => setState((old) => ({ ...old, view: { ...old.view, ...view } })),
    [],
  );
  return { state, setSetup, setOption, setView };
}
