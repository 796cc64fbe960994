// A card that is in no list, by the GiB a process can have of it.

const OWN = /^([0-9.]*)GiB$/;

export function OwnCard({ text, onOption }: { text: string; onOption(name: string, text: string): void }) {
  return (
    <label class="own-card">
      or a card of{" "}
      <input
        type="text"
        inputmode="decimal"
        size={5}
        value={OWN.exec(text)?.[1] ?? ""}
        onInput={(event) => {
          const given = event.currentTarget.value.trim();
          onOption("gpu", given && `${given}GiB`);
        }}
      />{" "}
      GiB
    </label>
  );
}
