import { render } from "preact";
import { App } from "./app.tsx";
import { loadCore } from "./core/core.ts";
import "./style/page.css";

const page = document.getElementById("page");
if (page) {
  loadCore().then(
    (core) => render(<App core={core} />, page),
    (reason: unknown) => {
      page.textContent = `Peakmem could not start: ${String(reason)}`;
    },
  );
}
