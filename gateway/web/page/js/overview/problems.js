// What is wrong, one sentence each, with what helps. Not there when all is well.

import { h } from "../dom.js";
import { section } from "../section.js";

export function mountProblems({ site, t, signal }) {
  const list = h("ul", { "aria-live": "polite" });
  const card = section("problems", t("problems.title"), list);
  let shown = null;

  function show() {
    const problems = site.status?.problems ?? [];
    card.hidden = problems.length === 0;
    const now = JSON.stringify(problems);
    if (now === shown) return;
    shown = now;
    list.replaceChildren(...problems.map((problem) => h("li", {}, ...sentences(problem))));
  }

  /** Our own words for what we know; the gateway's (English) for the rest. */
  function sentences({ what, where, text, remedy }) {
    const known = t.has(`problem.${what}`);
    return [
      h("strong", {}, known ? t(`problem.${what}`, { where }) : text),
      h("span", {}, known ? t(`problem.${what}.remedy`, { where }) : remedy),
    ];
  }

  site.addEventListener("status", show, { signal });
  show();
  return card;
}
