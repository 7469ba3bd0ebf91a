// The wires to the devices, and how the exchanges on them go.

import { h } from "../dom.js";
import { section } from "../section.js";

export function mountLines({ site, t, format, signal }) {
  const list = h("ul", { class: "lines-list" });

  function show() {
    const links = site.status?.links ?? [];
    list.replaceChildren(...links.map(line));
  }

  function line(link) {
    const state = h("span", { class: "state" }, stateOf(link));
    return h(
      "li",
      link.asleep && !link.connected ? {} : { "data-good": String(link.connected) },
      h("div", { class: "line-head" }, h("h3", {}, link.name), state),
      h("p", { class: "note" }, link.url),
      h("p", {}, counts(link)),
      link.connected || link.last_error === null ? null : h("p", { class: "note reason" }, link.last_error),
    );
  }

  function stateOf({ connected, asleep }) {
    if (connected) return t("lines.up");
    return asleep ? t("lines.asleep") : t("lines.down");
  }

  function counts({ ok, failed, round_trip_ms }) {
    const words = t("lines.counts", { ok: format.count(ok), failed: format.count(failed) });
    return round_trip_ms === null ? words : `${words} · ${format.value(Math.round(round_trip_ms * 10) / 10, "ms")}`;
  }

  site.addEventListener("status", show, { signal });
  show();
  return section("lines", t("lines.title"), list);
}
