// A labelled field: its help below it, and what is wrong with it beside it.
import type { ComponentChildren } from "preact";
import type { Problem } from "../core/answers.ts";

export interface FieldProps {
  name: string;
  label?: string | undefined;
  idle?: boolean | undefined; // it cannot matter: not shown
  help: string;
  problem: Problem | null;
  children: ComponentChildren;
}

export const idOf = (name: string): string => `field-${name}`;

/** What a field's input says of itself to a screen reader. */
export const describedBy = (name: string, problem: Problem | null): object => ({
  id: idOf(name),
  "aria-describedby": problem ? `${idOf(name)}-problem ${idOf(name)}-help` : `${idOf(name)}-help`,
  "aria-invalid": problem !== null,
});

export function ProblemText({ problem, id }: { problem: Problem; id?: string }) {
  return (
    <p class="problem" {...(id ? { id } : {})}>
      {problem.problem}
      {problem.hint && <span class="hint">. {problem.hint}</span>}
    </p>
  );
}

export function Field({ name, label, idle, help, problem, children }: FieldProps) {
  return (
    <div class={problem ? "field wrong" : "field"} hidden={idle === true}>
      <label for={idOf(name)}>{label ?? name}</label>
      {children}
      {problem && <ProblemText problem={problem} id={`${idOf(name)}-problem`} />}
      <p class="help" id={`${idOf(name)}-help`}>
        {help}
      </p>
    </div>
  );
}
