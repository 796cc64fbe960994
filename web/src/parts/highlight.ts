// What lights up together: a term of the formula, and the rows of the ledger that make it.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

/** Monomials ("B·T·C·L") that the pointer or the focus is on; empty where on none. */
export interface Highlight {
  monomials: ReadonlySet<string>;
  light(monomials: readonly string[]): void;
}
export const HighlightContext = createContext<Highlight>({ monomials: new Set(), light: () => undefined });

const touches = (monomials: readonly string[], lit: ReadonlySet<string>): boolean => monomials.some((each) => lit.has(each));

/** For an element that stands for some monomials: its class, and what it must listen to. */
export function useHighlight(): (monomials: readonly string[]) => { class: string; on: object } {
  const { monomials: lit, light } = useContext(HighlightContext);
  return (monomials) => ({
    class: lit.size === 0 ? "" : touches(monomials, lit) ? "lit" : "dim",
    on: {
      onMouseEnter: () => light(monomials),
      onMouseLeave: () => light([]),
      onFocus: () => light(monomials),
      onBlur: () => light([]),
    },
  });
}
