// The state, kept in step with the URL's hash; what the set-up was can be had again.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { fromHash, toHash, withOption, type Setup, type State, type View } from "./setup.ts";

const WRITE_AFTER_MS = 200; // browsers refuse a URL that changes with every step of a slider

export interface Shared {
  state: State;
  setSetup(setup: Setup): void;
  setOption(name: string, text: string): void;
  setView(view: Partial<View>): void;
  undo: (() => void) | null; // null where there is nothing to undo
}

/** The set-ups before, and the option that changed since the last of them, whose next steps are the same change. */
interface Past {
  setups: readonly Setup[];
  option: string | null;
}
const NONE: Past = { setups: [], option: null };
const MOST = 100;

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
  const [past, setPast] = useState(NONE);
  const latest = useRef(state);
  latest.current = state;
  const keep = useCallback((option: string | null) => {
    const { setup } = latest.current;
    setPast((old) =>
      option !== null && option === old.option ? old : { setups: [...old.setups.slice(1 - MOST), setup], option },
    );
  }, []);
  const setSetup = useCallback((setup: Setup) => {
    keep(null);
    setState((old) => ({ ...old, setup, broken: "" }));
  }, []);
  const setOption = useCallback((name: string, text: string) => {
    keep(name);
    setState((old) => ({ ...old, setup: withOption(old.setup, name, text) }));
  }, []);
  const undo = useCallback(() => {
    setPast((old) => {
      const last = old.setups[old.setups.length - 1];
      if (last) setState((now) => ({ ...now, setup: last }));
      return { setups: old.setups.slice(0, -1), option: null };
    });
  }, []);
  const setView = useCallback(
    (view: Partial<View>) => setState((old) => ({ ...old, view: { ...old.view, ...view } })),
    [],
  );
  return { state, setSetup, setOption, setView, undo: past.setups.length > 0 ? undo : null };
}
