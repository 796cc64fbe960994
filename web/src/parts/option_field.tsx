// An option as its kind asks for: a choice, a switch, a text, or a size.
import { useMemo } from "preact/hooks";
import { memo } from "../state/memo.ts";
import { describedBy, Field } from "./field.tsx";
import type { OptionProps } from "./option_props.ts";
import { SizeField } from "./size_field.tsx";

function ChoiceField({ row, text, titles, problem, idle, onOption }: OptionProps) {
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
    <Field name={row.name} help={row.help} problem={problem} idle={idle}>
      <select {...describedBy(row.name, problem)} value={text} onChange={(event) => onOption(row.name, event.currentTarget.value)}>
        <option value="">{row.default || "not given"}</option>
        {choices}
        {text === row.default && text !== "" && <option value={text}>{text}</option>}
        {!known && <option value={text}>{text}</option>}
      </select>
    </Field>
  );
}

function FlagField({ row, text, problem, idle, onOption }: OptionProps) {
  return (
    <Field name={row.name} help={row.help} problem={problem} idle={idle}>
      <input
        type="checkbox"
        {...describedBy(row.name, problem)}
        checked={text === "true"}
        onChange={(event) => onOption(row.name, event.currentTarget.checked ? "true" : "")}
      />
    </Field>
  );
}

function TextField({ row, text, problem, idle, onOption }: OptionProps) {
  return (
    <Field name={row.name} help={row.help} problem={problem} idle={idle}>
      <input
        type="text"
        autocomplete="off"
        spellcheck={false}
        {...describedBy(row.name, problem)}
        value={text}
        placeholder={row.default || row.value}
        onInput={(event) => onOption(row.name, event.currentTarget.value.trim())}
      />
    </Field>
  );
}

export const OptionField = memo((props: OptionProps) => {
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
});

