// What waits in the buffer, and whether the central server takes it.

import { h, setText } from "../dom.js";
import { NO_VALUE } from "../format.js";
import { section } from "../section.js";

export function mountSending({ site, t, format, signal }) {
  const verdict = h("p", { class: "verdict" });
  const reason = h("p", { class: "note reason" });
  const rows = Object.fromEntries(
    ["server", "acked", "waiting", "mqtt", "stored", "free", "left", "written"].map((name) => [name, h("dd")]),
  );
  const names = {
    server: t("sending.server"),
    acked: t("sending.acked"),
    waiting: t("sending.waiting"),
    mqtt: t("sending.mqtt"),
    stored: t("sending.stored"),
    free: t("sending.free"),
    left: t("sending.left"),
    written: t("sending.written"),
  };

  function show() {
    if (site.status === null) return;
    const { sync, mqtt, buffer, now_ms } = site.status;
    setText(verdict, verdictOf(sync));
    verdict.dataset.good = String(sync.configured ? sync.reachable : null);
    setText(reason, sync.last_error ?? "");
    setText(rows.server, sync.url ?? NO_VALUE);
    setText(rows.acked, sync.last_ack_ms === null ? NO_VALUE : ago(sync.last_ack_ms, now_ms));
    setText(rows.waiting, waiting(sync, buffer, now_ms));
    setText(rows.mqtt, broker(mqtt));
    setText(rows.stored, `${records(buffer.records)} · ${format.bytes(buffer.bytes)}`);
    setText(rows.free, format.bytes(buffer.disk_free_bytes));
    setText(rows.left, buffer.hours_left === null ? NO_VALUE : format.duration(buffer.hours_left));
    setText(rows.written, format.bytes(buffer.written_bytes_per_day));
  }

  function verdictOf({ configured, reachable, backlog_records }) {
    if (!configured) return t("sending.notConfigured");
    if (reachable === null) return t("sending.notTried");
    if (!reachable) return t("sending.unreachable");
    return backlog_records === 0 ? t("sending.allSent") : t("sending.sending");
  }

  function waiting({ backlog_records }, { oldest_unsent_ms }, now_ms) {
    if (backlog_records === 0 || oldest_unsent_ms === null) return records(backlog_records);
    return t("sending.waitingSince", { records: records(backlog_records), age: ago(oldest_unsent_ms, now_ms) });
  }

  function broker(mqtt) {
    if (mqtt === null) return t("sending.mqttOff");
    if (mqtt.connected === null) return t("sending.mqttNotTried");
    return t(mqtt.connected ? "sending.mqttGood" : "sending.mqttBad", { url: mqtt.url });
  }

  const ago = (t_ms, now_ms) => format.ago(Math.max(0, now_ms - t_ms) / 1000);
  const records = (count) => t(count === 1 ? "sending.record" : "sending.records", { count: format.count(count) });

  site.addEventListener("status", show, { signal });
  show();
  const table = Object.entries(rows).map(([name, value]) => h("div", {}, h("dt", {}, names[name]), value));
  return section("sending", t("sending.title"), verdict, reason, h("dl", { class: "facts" }, table));
}
