// A picture as a file: its SVG with the colours and fonts it has on the page.
import { useRef } from "preact/hooks";

const FILLED = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray"];
const WRITTEN = ["fill", "font-size", "font-family", "font-weight", "text-anchor"];
const DROPPED = ["class", "style", "tabindex", "role"];

function svgText(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((each, i) => {
    const original = originals[i];
    for (const name of DROPPED) each.removeAttribute(name);
    if (!original || !["rect", "path", "line", "circle", "text"].includes(each.tagName)) return;
    const style = getComputedStyle(original);
    for (const name of each.tagName === "text" ? WRITTEN : FILLED) each.setAttribute(name, style.getPropertyValue(name));
  });
  const box = svg.viewBox.baseVal;
  for (const name of DROPPED) copy.removeAttribute(name);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(box.width));
  copy.setAttribute("height", String(box.height));
  copy.setAttribute("style", `background:${getComputedStyle(document.documentElement).backgroundColor}`);
  return new XMLSerializer().serializeToString(copy);
}

function download(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

export function Save({ name }: { name: string }) {
  const button = useRef<HTMLButtonElement>(null);
  const save = (): void => {
    const svg = button.current?.closest("figure")?.querySelector("svg");
    if (svg) download(`peakmem-${name}.svg`, svgText(svg), "image/svg+xml");
  };
  return (
    <button ref={button} type="button" class="save" onClick={save} aria-label={`download the ${name} as SVG`}>
      SVG
    </button>
  );
}
