// A size: typed, stepped or slid. A step goes to the next value that the core accepts, so that a hidden size stays a
// multiple of the heads without this page knowing why.
import { nearestNotch, nextNotch, notches } from "../state/notches.ts";
import { describedBy, Field } from "./field.tsx";
import type { OptionProps } from "./option_props.ts";

const TRIES = 12;

/** The first accepted value from `value` on, `value` itself where none is near. */
function accepted(values: readonly number[], value: number, direction: 1 | -1, accepts: (text: string) => boolean): number {
  let each = value;
  for (let i = 0; i < TRIES; ++i) {
    if (accepts(String(each))) return each;
    each = nextNotch(values, each, direction);
  }
  return value;
}

export function SizeField({ row, label, text, usual, around, problem, idle, onOption, accepts }: OptionProps) {
  const typed = /^[0-9][0-9_]*$/.test(text) ? Number(text.replaceAll("_", "")) : null;
  const value = typed ?? usual;
  const values = notches(around ?? value ?? 16);
  const beyond = value !== null && value > (values[values.length - 1] ?? 0) ? notches(value) : values;
  const give = (next: number, direction: 1 | -1): void =>
    onOption(row.name, String(accepted(beyond, next, direction, (each) => accepts(row.name, each))));
  const step = (direction: 1 | -1): void => give(nextNotch(beyond, value ?? beyond[0] ?? 1, direction), direction);
  const at = nearestNotch(beyond, value ?? beyond[0] ?? 1);
  return (
    <Field name={row.name} label={label} help={row.help} problem={problem} idle={idle}>
      <div class="size">
        <button type="button" class="step" aria-label={`less ${row.name}`} onClick={() => step(-1)}>
          −
        </button>
        <input
          type="text"
          inputmode="numeric"
          autocomplete="off"
          {...describedBy(row.name, problem)}
          value={text}
          placeholder={usual === null ? "" : String(usual)}
          onInput={(event) => onOption(row.name, event.currentTarget.value.trim())}
        />
        <button type="button" class="step" aria-label={`more ${row.name}`} onClick={() => step(1)}>
          +
        </button>
        <input
          type="range"
          aria-label={`${row.name}, slider`}
          aria-valuetext={value === null ? "not given" : String(value)}
          min={0}
          max={beyond.length - 1}
          step={1}
          value={at}
          onInput={(event) => {
            const to = Number(event.currentTarget.value);
            give(beyond[to] ?? 1, to >= at ? 1 : -1);
          }}
        />
      </div>
    </Field>
  );
}
