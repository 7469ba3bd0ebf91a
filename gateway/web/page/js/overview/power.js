// Power now, one tile a role, above the last hour as lines.

import { makeChart } from "./chart.js";
import { h, setText } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { roleIcon } from "../icons.js";
import { byRole } from "../roles.js";
import { figure, section } from "../section.js";

export function mountPower(context) {
  const { site, t, format, signal } = context;
  const tiles = h("ul", { class: "tiles" });
  const chart = makeChart(context);
  let shown = new Map();

  function rebuild() {
    shown = new Map(byRole(site.devices).map(([role, devices]) => [role, makeTile(role, devices)]));
    tiles.replaceChildren(...[...shown.values()].map((tile) => tile.element));
    show();
  }

  function makeTile(role, devices) {
    const value = h("span", { class: "figure" });
    const note = h("span", { class: "note" });
    const label = h("span", { class: "label" }, roleIcon(role), t.or(`role.${role}`, role));
    const element = h("li", { "data-role": role }, label, value, note);
    return { element, value, note, devices };
  }

  function show() {
    for (const [role, { value, note, devices }] of shown) {
      const known = devices.map((device) => device.power_W).filter((power_W) => power_W !== null);
      const total = known.length > 0 ? known.reduce((a, b) => a + b, 0) : null;
      figure(value, format.powerParts(total), format, NO_VALUE);
      setText(note, noteOf(role, total, known.length, devices.length));
    }
  }

  function noteOf(role, total, known, all) {
    if (known < all) return t("power.partly", { known: format.count(known), all: format.count(all) });
    if (role !== "grid" || total === 0) return "";
    return total > 0 ? t("power.fromGrid") : t("power.toGrid");
  }

  site.addEventListener("devices", rebuild, { signal });
  site.addEventListener("live", show, { signal });
  rebuild();
  return section("power", t("power.title"), tiles, chart);
}
