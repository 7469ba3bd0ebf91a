// Carbon and energy of the site's current day, with the factor and the lens they were computed under.

import { h, setText } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { roleIcon } from "../icons.js";
import { sortRoles } from "../roles.js";
import { figure, section } from "../section.js";

export function mountToday({ site, t, format, signal }) {
  const emitted = makeAmount("emitted", t("today.emitted"));
  const avoided = makeAmount("avoided", t("today.avoided"));
  const energies = h("ul", { class: "energies" });
  const factor = h("p", { class: "factor" });
  const lens = h("p", { class: "note" });
  const provisional = h("p", { class: "note provisional" });

  function makeAmount(name, words) {
    const label = h("span", { class: "label" }, words);
    const value = h("span", { class: "figure", id: name });
    const exact = h("span", { class: "exact", id: `${name}-exact` });
    return { label, value, exact, element: h("div", { class: `amount ${name}` }, label, value, exact) };
  }

  function showAmount({ value, exact }, ng) {
    figure(value, format.carbonParts(ng), format, NO_VALUE);
    setText(exact, ng === null ? "" : format.exactCarbon(ng));
  }

  function show() {
    if (site.status === null) return;
    const { today } = site.status;
    showAmount(emitted, today.emitted_ng);
    showAvoided(today.avoided_ng);
    showEnergies(today.energy_by_role_mWh);
    showFactor(site.status);
  }

  function showAvoided(ng) {
    const more = ng !== null && ng.startsWith("-");
    setText(avoided.label, more ? t("today.increased") : t("today.avoided"));
    showAmount(avoided, more ? ng.slice(1) : ng);
    if (ng === null) setText(avoided.exact, t("today.noBaseline"));
  }

  function showEnergies(byRole_mWh) {
    const most = Math.max(1, ...Object.values(byRole_mWh).map(Math.abs));
    energies.replaceChildren(
      ...sortRoles(Object.keys(byRole_mWh)).map((role) => {
        const bar = h("span", { class: "bar-fill" });
        bar.style.width = `${(100 * Math.abs(byRole_mWh[role])) / most}%`;
        return h(
          "li",
          { "data-role": role },
          h("span", { class: "label" }, roleIcon(role), t.or(`role.${role}`, role)),
          h("span", { class: "amount-text" }, format.energy(byRole_mWh[role])),
          h("span", { class: "bar-track", "aria-hidden": "true" }, bar),
        );
      }),
    );
  }

  function showFactor({ factor: used, region, lens: name }) {
    setText(lens, t.or(`lens.${name}`, name));
    provisional.hidden = used === null || !used.provisional;
    if (used === null) {
      setText(factor, t("today.noFactor"));
      return;
    }
    const place = t.or(`region.${region}`, region);
    setText(factor, t("today.factor", { place, year: used.data_year, value: format.factor(used.value_mg_per_kWh) }));
    setText(provisional, t("today.provisional", { year: used.data_year }));
  }

  site.addEventListener("status", show, { signal });
  show();
  return section(
    "today",
    t("today.title"),
    h("div", { class: "amounts" }, emitted.element, avoided.element),
    h("h3", {}, t("today.energy")),
    energies,
    h("div", { class: "method" }, factor, lens, provisional),
  );
}
