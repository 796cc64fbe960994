// Buttons that copy texts, and what is said of it.
import { useState } from "preact/hooks";

/** `texts`: by the name of their button; null where there is none yet. */
export function Copier({ label, texts }: { label: string; texts: readonly (readonly [string, (() => string) | null])[] }) {
  const [said, setSaid] = useState<{ text: string; shown: string } | null>(null);
  const copy = async (name: string, text: string): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid({ text: `${name} copied`, shown: "" });
    } catch {
      // Without permission, such as from a file: show it to be copied by hand.
      setSaid({ text: `${name}, to copy by hand`, shown: text });
    }
  };
  return (
    <div class="copy" role="group" aria-label={label}>
      <span class="muted">{label}</span>
      {texts.map(([name, text]) => (
        <button type="button" disabled={text === null} onClick={() => text && void copy(name, text())}>
          {name}
        </button>
      ))}
      <span role="status">{said?.text}</span>
      {said?.shown && <textarea aria-label={said.text} readOnly rows={3} value={said.shown} />}
    </div>
  );
}
