// One device over a day or a month, from the rollups: its mean, and least and most around it. A gap stays a gap.

import uPlot from "../../vendor/uPlot.esm.js";
import { h } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { roleColour } from "../roles.js";
import { section } from "../section.js";

const HOUR_MS = 3_600_000;
const SPANS = { day: 24 * HOUR_MS, month: 31 * 24 * HOUR_MS };
const WORDS = { day: "past.day", month: "past.month" };

export function mountPast({ site, t, format, signal }) {
  const devices = h("select", { "aria-label": t("past.device") });
  const buttons = Object.keys(SPANS).map((span) => h("button", { type: "button", "data-span": span }, t(WORDS[span])));
  const [before, after] = [-1, 1].map((step) =>
    h("button", { type: "button", "aria-label": t(step < 0 ? "past.before" : "past.after") }, step < 0 ? "‹" : "›"),
  );
  const when = h("span", { class: "note" });
  const note = h("p", { class: "note" });
  const place = h("div", { class: "plot", role: "img" });
  let span = "day";
  let steps = 0; // spans back from now, 0 or below
  let plot = null;
  let asked = 0;

  async function load() {
    const device = devices.value;
    if (!device || site.t_ms === null) return;
    const to_ms = Math.floor(site.t_ms / HOUR_MS + 1) * HOUR_MS + steps * SPANS[span];
    const from_ms = to_ms - SPANS[span];
    const number = ++asked;
    const answer = await site.chart(device, from_ms, to_ms);
    if (number !== asked || signal.aborted) return; // another one was asked for meanwhile
    when.textContent = `${format.day(from_ms)} – ${format.day(to_ms)}`;
    after.disabled = steps === 0;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.span === span));
    plot?.destroy();
    plot = null;
    const empty = answer === null || answer.readings.every((count) => count === 0);
    note.textContent = empty ? t("past.nothing") : t("past.step", { minutes: answer.step_ms / 60_000, unit: answer.unit });
    if (!empty) draw(device, answer);
  }

  function draw(device, { t_ms, unit, min, mean, max }) {
    const role = site.devices.find(({ name }) => name === device).role;
    place.setAttribute("aria-label", `${device}, ${when.textContent}`);
    const columns = [t_ms.map((ms) => ms / 1000), min, max, mean];
    plot = new uPlot(options(roleColour(role), unit), columns, place);
  }

  function options(colour, unit) {
    const style = getComputedStyle(document.documentElement);
    const axis = {
      stroke: style.getPropertyValue("--soft"),
      font: `12px ${style.fontFamily}`,
      ticks: { show: false },
    };
    const line = (label, width) => ({
      label,
      stroke: colour,
      width,
      points: { show: false },
      value: (_, value) => format.value(value ?? null, unit),
    });
    const short = span === "day" ? format.clock : format.shortDay;
    return {
      width: place.clientWidth,
      height: place.clientHeight,
      cursor: { y: false, points: { size: 7 } },
      legend: { markers: { width: 3 } },
      bands: [{ series: [2, 1], fill: `${colour}33` }],
      axes: [
        { ...axis, grid: { show: false }, size: 30, space: 64, values: (_, s) => s.map((at) => short(at * 1000)) },
        {
          ...axis,
          grid: { stroke: style.getPropertyValue("--line"), width: 1 },
          size: 72,
          space: 36,
          values: (_, values) => values.map((value) => format.value(value, unit)),
        },
      ],
      series: [
        { label: t("power.time"), value: (_, s) => (s === null ? NO_VALUE : format.moment(s * 1000)) },
        line(t("past.least"), 0),
        line(t("past.most"), 0),
        line(t("past.mean"), 2),
      ],
    };
  }

  function listDevices() {
    const chosen = devices.value;
    devices.replaceChildren(...site.devices.map(({ name }) => h("option", { value: name }, name)));
    if (site.devices.some(({ name }) => name === chosen)) devices.value = chosen;
    if (asked === 0) load();
  }

  function move(step) {
    steps = Math.min(0, steps + step);
    load();
  }

  devices.addEventListener("change", load, { signal });
  before.addEventListener("click", () => move(-1), { signal });
  after.addEventListener("click", () => move(1), { signal });
  for (const button of buttons) {
    const choose = () => {
      span = button.dataset.span;
      steps = 0;
      load();
    };
    button.addEventListener("click", choose, { signal });
  }
  site.addEventListener("devices", listDevices, { signal });
  const observer = new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: place.clientHeight }));
  observer.observe(place);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    plot?.destroy();
  });
  listDevices();
  const controls = h("div", { class: "past-controls" }, devices, buttons, before, after, when);
  return section("past", t("past.title"), controls, h("figure", { class: "chart" }, place), note);
}
