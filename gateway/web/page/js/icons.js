// One small drawing for each role, in strokes on a 24 by 24 grid.

import { svg } from "./dom.js";

const DROP = "M12 3.5c3.4 4 5.2 6.8 5.2 9.6a5.2 5.2 0 0 1-10.4 0c0-2.8 1.8-5.6 5.2-9.6z";
const DRAWINGS = {
  pv: "M4 20.5h16l-2.4-8H6.4zM12 12.5v8M5.2 16.5h13.6M12 2.5v2M6 4.7l1.3 1.3M18 4.7l-1.3 1.3M9 9.5a3 3 0 0 1 6 0",
  grid: "M7.5 21 12 3l4.5 18M5 8.5h14M7 13.5h10M10 8.5l5.3 7.5M14 8.5 8.7 16M5 8.5v2M19 8.5v2",
  hydro: "M12 3c2.4 2.9 3.6 4.8 3.6 6.6a3.6 3.6 0 0 1-7.2 0C8.4 7.8 9.6 5.9 12 3zM3 17c2-1.5 4-1.5 6 0s4 1.5 6 0 4-1.5 6 0M3 20.5c2-1.5 4-1.5 6 0s4 1.5 6 0 4-1.5 6 0",
  battery: "M3 7.5h15.5v9H3zM21.5 10.5v3M11.5 9l-2.2 3.2h3L10.2 15.2",
  charger: "M5.5 20.5v-16h8v16M3.5 20.5h12M10.2 7.5 8.5 11h2.3L9.2 14M13.5 11.5h1.6a1.6 1.6 0 0 1 1.6 1.6v2.7a1.6 1.6 0 0 0 3.2 0V9l-2.4-2.6",
  load: "M4 11.5 12 4.5l8 7M6 10v10.5h12V10M12.6 11.5l-2 3h2.8l-2 3",
  wastewater: "M5 5.5v12.5a2.5 2.5 0 0 0 2.5 2.5h9a2.5 2.5 0 0 0 2.5-2.5V5.5M5 10.5c2.3-1.7 4.7 1.7 7 0s4.7-1.7 7 0M9 15.5h.01M12.5 17h.01M15 14.5h.01",
  water: DROP,
  light: "M9.5 18.5h5M10.5 21.5h3M12 2.5a6.2 6.2 0 0 0-3.8 11.1c.7.6 1.2 1.4 1.3 2.4h5c.1-1 .6-1.8 1.3-2.4A6.2 6.2 0 0 0 12 2.5z",
  generator: "M3 9.5h13v8H3zM16 11.5h2.5l2.5 2v4h-5M6 9.5v-3h4v3M5.5 17.5v2.5M13.5 17.5v2.5M10.3 11l-1.8 2.8h2.5l-1.8 2.7",
};

/** The drawing of a role; a role without one gets a plain ring. It only accompanies words. */
export function roleIcon(role) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" },
    role in DRAWINGS ? svg("path", { d: DRAWINGS[role] }) : svg("circle", { cx: 12, cy: 12, r: 7 }),
  );
}
