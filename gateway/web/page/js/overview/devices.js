// One card a device: what it does now, and every point with its value or the reason why there is none.

import { h, setText } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { roleIcon } from "../icons.js";
import { figure, section } from "../section.js";

export function mountDevices({ site, t, format, signal }) {
  const list = h("ul", { class: "devices-list" });
  const empty = h("p", { class: "note" }, t("devices.none"));
  const open = new Set();
  let cards = [];

  function rebuild() {
    cards = site.devices.map(makeCard);
    const focused = document.activeElement?.dataset?.device;
    list.replaceChildren(...cards.map((card) => card.element));
    cards.find((card) => card.device.name === focused)?.summary.focus();
    empty.hidden = site.devices.length > 0 || site.connected === null;
    show();
  }

  function makeCard(device) {
    const state = h("span", { class: "state" });
    const power = h("span", { class: "figure" });
    const energy = h("dd");
    const seen = h("dd");
    const points = device.points.map((point) => makePoint(point));
    const count = t("devices.points", { count: format.count(device.points.length) });
    const summary = h("summary", { "data-device": device.name }, count);
    const table = h("dl", { class: "points" }, points.map((point) => point.row));
    const details = h("details", { open: open.has(device.name) }, summary, table);
    details.addEventListener("toggle", () => (details.open ? open.add(device.name) : open.delete(device.name)));
    const element = h(
      "li",
      { class: "device", "data-role": device.role, "data-device-card": device.name },
      h("div", { class: "device-head" }, roleIcon(device.role), h("h3", {}, device.name), state),
      h("p", { class: "note" }, `${device.title} · ${t.or(`role.${device.role}`, device.role)}`),
      power,
      h("dl", { class: "facts" }, fact(t("devices.today"), energy), fact(t("devices.seen"), seen)),
      details,
    );
    return { device, element, summary, state, power, energy, seen, points };
  }

  function makePoint(point) {
    const value = h("dd");
    return { point, value, row: h("div", {}, h("dt", {}, point.name), value) };
  }

  function show() {
    for (const { device, element, state, power, energy, seen, points } of cards) {
      element.dataset.state = device.state;
      setText(state, t(`state.${device.state}`));
      figure(power, format.powerParts(device.power_W), format, NO_VALUE);
      setText(energy, format.energy(device.today_mWh));
      setText(seen, device.seen_ms === null ? NO_VALUE : format.ago(Math.max(0, site.t_ms - device.seen_ms) / 1000));
      for (const { point, value } of points) showPoint(point, value);
    }
  }

  function showPoint(point, element) {
    const value = format.value(point.value, point.unit);
    if (point.value === null) {
      const reason = point.quality === "ok" ? "" : t(`quality.${point.quality}`);
      setText(element, `${NO_VALUE} ${reason}`);
      element.className = "no-value";
    } else {
      setText(element, point.text === null ? value : `${point.text} (${value})`);
      element.className = "";
    }
  }

  site.addEventListener("devices", rebuild, { signal });
  site.addEventListener("live", show, { signal });
  rebuild();
  return section("devices", t("devices.title"), empty, list);
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), value);
}
