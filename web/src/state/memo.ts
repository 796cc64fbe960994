// Components that are left alone as long as nothing changes for them.
import { createElement, type FunctionComponent, type VNode } from "preact";
import { useRef } from "preact/hooks";

const same = (one: object, other: object): boolean => {
  const [before, after] = [Object.entries(one), new Map(Object.entries(other))];
  return before.length === after.size && before.every(([name, value]) => after.get(name) === value);
};

/** The component, rendered again only where a prop is another. */
export function memo<P extends object>(component: FunctionComponent<P>): FunctionComponent<P> {
  return (props) => {
    const kept = useRef<{ props: object; node: VNode } | null>(null);
    if (!kept.current || !same(kept.current.props, props))
      kept.current = { props, node: createElement(component as FunctionComponent<object>, props) };
    return kept.current.node; // Preact does not look into a node that it has seen
  };
}
