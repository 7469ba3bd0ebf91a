// The frame of a section: a landmark with a heading, and what stands below it.

import { h } from "./dom.js";

export function section(name, title, ...children) {
  return h(
    "section",
    { class: `card ${name}`, "aria-labelledby": `title-${name}` },
    h("h2", { id: `title-${name}` }, title),
    children,
  );
}

/** A big number with a small unit; parts are [number, unit], or null for no value. */
export function figure(element, parts, format, noValue) {
  element.replaceChildren(
    ...(parts === null ? [noValue] : [format.minus(parts[0]), h("span", { class: "unit" }, `\u00a0${parts[1]}`)]),
  );
}
