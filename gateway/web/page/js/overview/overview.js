// The room "Overview": the whole site on one calm page.

import { mountDevices } from "./devices.js";
import { mountLines } from "./lines.js";
import { mountPast } from "./past.js";
import { mountPower } from "./power.js";
import { mountProblems } from "./problems.js";
import { mountSending } from "./sending.js";
import { mountToday } from "./today.js";
import { h } from "../dom.js";

export function mountOverview(context, place) {
  const sections = [mountProblems, mountPower, mountToday, mountPast, mountDevices, mountSending, mountLines];
  place.replaceChildren(h("div", { class: "overview" }, sections.map((mount) => mount(context))));
}
