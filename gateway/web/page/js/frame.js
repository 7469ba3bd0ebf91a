// What stands around every room: header with the connection's state and the language, and the footer.

import { h, setText } from "./dom.js";
import { LANGUAGES } from "./i18n.js";

export function mountFrame(context, language, choose) {
  const { site, t, format, signal } = context;
  const name = h("span", { class: "gateway" });
  const place = h("span", { class: "place" });
  const chip = h("span", { class: "chip", role: "status" });
  const banner = h("p", { class: "banner", role: "alert", hidden: true });
  const about = h("p");

  const switches = Object.entries(LANGUAGES).map(([code, label]) => {
    const button = h("button", { type: "button", lang: code, "aria-pressed": String(code === language) }, label);
    button.addEventListener("click", () => choose(code), { signal });
    return button;
  });
  document.getElementById("skip").textContent = t("frame.skip");
  document.getElementById("header").replaceChildren(
    h(
      "div",
      { class: "bar" },
      h("span", { class: "breath", "aria-hidden": "true" }),
      h("h1", {}, "huxi", h("span", { lang: "zh-CN" }, "呼吸")),
      h("p", { class: "whose" }, name, place),
      chip,
      h("div", { class: "languages", role: "group", "aria-label": t("frame.language") }, switches),
    ),
    banner,
  );
  document.getElementById("footer").replaceChildren(about);

  function showConnection() {
    const { connected } = site;
    document.body.dataset.connection = connected === null ? "opening" : connected ? "live" : "stale";
    if (connected === null) setText(chip, t("frame.connecting"));
    else setText(chip, connected ? t("frame.live") : t("frame.reconnecting"));
    banner.hidden = connected !== false;
    if (connected === false) {
      const stale = () => t("frame.stale", { time: format.exactClock(site.t_ms) });
      setText(banner, site.t_ms === null ? t("frame.unreachable") : stale());
    }
  }

  function showStatus() {
    const { status } = site;
    if (status === null) return;
    document.title = `${status.gateway} · huxi 呼吸`;
    setText(name, status.gateway);
    setText(place, t.or(`region.${status.region}`, status.region));
    const facts = [
      `huxi ${status.version}`,
      t("frame.since", { age: format.ago((status.now_ms - status.started_ms) / 1000) }),
      status.clock.trusted ? t("frame.clock", { source: t.or(`clock.${status.clock.source}`, status.clock.source) }) : t("frame.noClock"),
    ];
    setText(about, facts.join(" · "));
  }

  site.addEventListener("connection", showConnection, { signal });
  site.addEventListener("status", showStatus, { signal });
  showConnection();
  showStatus();
}
