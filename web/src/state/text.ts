// Numbers as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 20909093512 as "19.47 GiB". */
export function inUnits(bytes: number): string {
  let unit = 0;
  let size = Math.abs(bytes);
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    ++unit;
  }
  return `${bytes < 0 ? "−" : ""}${size.toFixed(unit === 0 ? 0 : 2)} ${UNITS[unit]}`;
}
/** A change, with its sign. */
export const change = (bytes: number): string => (bytes > 0 ? "+" : bytes === 0 ? "±" : "") + inUnits(bytes);

/** 6253628424 as "6,253,628,424"; toLocaleString takes some 30 ms to begin with. */
export const grouped = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** 1235814400 as "1.24 B" parameters. */
export function inThousands(number: number): string {
  for (const [size, letter] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]] as const)
    if (number >= size) return `${(number / size).toPrecision(3)} ${letter}`;
  return String(number);
}
