// An option as its kind asks for: a choice, a switch, a text, or a size.
import { useMemo } from "preact/hooks";
import type { OptionRow, Problem } from "../core/answers.ts";
import { describedBy, Field } from "./field.tsx";
import { SizeField } from "./size_field.tsx";

export interface OptionProps {
  row: OptionRow;
  text: string; // as typed, empty where nothing is
  usual: number | null; // the value a size has where nothing is typed
  around: number | null; // where a size's slider has its middle
  titles?: ReadonlyMap<string, string>; // of the choices
  problem: Problem | null;
  onText(text: string): void;
  accepts(text: string): boolean;
}

function ChoiceField({ row, text, titles, problem, onText }: OptionProps) {
  const known = text === "" || row.choices.includes(text);
  // The same nodes as long as nothing changes, so that a slider's step need not look at every choice again.
  const choices = useMemo(
    () =>
      row.choices
        .filter((choice) => choice !== row.default)
        .map((choice) => <option value={choice}>{titles?.get(choice) ?? choice}</option>),
    [row, titles],
  );
  return (
    <Field name={row.name} help={row.help} problem={problem}>
      <select {...describedBy(row.name, problem)} value={text} onChange={(event) => onText(event.currentTarget.value)}>
        <option value="">{row.default || "not given"}</option>
        {choices}
        {text === row.default && text !== "" && <option value={text}>{text}</option>}
        {!known && <option value={text}>{text}</option>}
      </select>
    </Field>
  );
}

function FlagField({ row, text, problem, onText }: OptionProps) {
  return (
    <Field name={row.name} help={row.help} problem={problem}>
      <input
        type="checkbox"
        {...describedBy(row.name, problem)}
        checked={text === "true"}
        onChange={(event) => onText(event.currentTarget.checked ? "true" : "")}
      />
    </Field>
  );
}

function TextField({ row, text, problem, onText }: OptionProps) {
  return (
    <Field name={row.name} help={row.help} problem={problem}>
      <input
        type="text"
        autocomplete="off"
        spellcheck={false}
        {...describedBy(row.name, problem)}
        value={text}
        placeholder={row.default || row.value}
        onInput={(event) => onText(event.currentTarget.value.trim())}
      />
    </Field>
  );
}

export function OptionField(props: OptionProps) {
  switch (props.row.kind) {
    case "size":
      return <SizeField {...props} />;
    case "choice":
      return <ChoiceField {...props} />;
    case "flag":
      return <FlagField {...props} />;
    default:
      return <TextField {...props} />;
  }
}

