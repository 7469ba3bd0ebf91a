// The last hour of each role's power as lines.

import uPlot from "../../vendor/uPlot.esm.js";
import { h } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { byRole, roleColour } from "../roles.js";

const WHOLE_MINUTES_S = [60, 120, 300, 600, 900, 1800, 3600]; // between labels, which show no seconds

/** An element that draws itself as large as it is, and again when data, theme or size change. */
export function makeChart({ site, t, format, signal }) {
  const place = h("div", { class: "plot" });
  const element = h("figure", { class: "chart" }, h("figcaption", {}, t("power.lastHour")), place);
  let plot = null;
  let drawn = "";

  function draw() {
    const groups = byRole(site.devices);
    const roles = groups.map(([role]) => role);
    element.hidden = groups.length === 0;
    if (element.hidden || site.t_ms === null || place.clientWidth === 0) return;
    const columns = site.history.columns(
      groups.map(([, devices]) => devices.map((device) => device.name)),
      site.t_ms,
    );
    if (plot === null || drawn !== roles.join()) {
      plot?.destroy();
      plot = new uPlot(options(roles), columns, place);
      plot.root.setAttribute("role", "img");
      plot.root.setAttribute("aria-label", t("power.lastHour"));
      drawn = roles.join();
    } else {
      plot.setData(columns);
    }
  }

  /** The plot lies over its place and never stretches it, so that measuring and drawing cannot chase each other. */
  function size() {
    return { width: place.clientWidth, height: place.clientHeight };
  }

  function redraw() {
    drawn = "";
    draw();
  }

  function options(roles) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--soft");
    const line = style.getPropertyValue("--line");
    const axis = { stroke: ink, font: `12px ${style.fontFamily}`, ticks: { show: false } };
    return {
      ...size(),
      cursor: { y: false, points: { size: 7 } },
      legend: { markers: { width: 3 } },
      scales: { y: { range: (_, least, most) => spread(least, most) } },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          space: 64,
          incrs: WHOLE_MINUTES_S,
          values: (_, times) => times.map((s) => format.clock(s * 1000)),
        },
        {
          ...axis,
          grid: { stroke: line, width: 1 },
          size: 64,
          space: 36,
          values: (_, powers) => powers.map((power_W) => shortPower(power_W)),
        },
      ],
      series: [
        { label: t("power.time"), value: (_, s) => (s === null ? NO_VALUE : format.clock(s * 1000)) },
        ...roles.map((role) => ({
          label: t.or(`role.${role}`, role),
          stroke: roleColour(role),
          width: 2,
          points: { show: false },
          value: (_, power_W) => format.power(power_W ?? null),
        })),
      ],
    };
  }

  function shortPower(power_W) {
    return Math.abs(power_W) < 1000 ? format.value(power_W, "W") : format.value(power_W / 1000, "kW");
  }

  site.addEventListener("devices", draw, { signal });
  site.addEventListener("status", draw, { signal });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal });
  const observer = new ResizeObserver(() => {
    if (plot === null) draw();
    else plot.setSize(size());
  });
  observer.observe(place);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    plot?.destroy();
  });
  return element;
}

/** Zero is always in sight, and a flat line does not stick to an edge. */
function spread(least, most) {
  if (least === null) return [0, 1000];
  const low = Math.min(least, 0);
  const high = Math.max(most, 0);
  const room = Math.max((high - low) * 0.08, 1);
  return [low < 0 ? low - room : 0, high > 0 ? high + room : room];
}
