// What the page knows of its gateway. Rooms listen: "devices" (another list), "live", "status", "connection".

import { PowerHistory } from "./history.js";
import { openStream } from "./stream.js";

const HISTORY_MINUTES = 60;
const DEVICES_EACH_MS = 30_000;
const API = "api/v1";

export class Site extends EventTarget {
  /** The last status, or null before the first. */
  status = null;
  /** Devices with their newest values; `seen_ms` is the gateway's time of the last good reading, or null. */
  devices = [];
  /** The gateway's time of the last live event, or null. */
  t_ms = null;
  /** Null before the first event, then whether events come in. */
  connected = null;
  history = new PowerHistory(HISTORY_MINUTES);

  #devicesAt_ms = -Infinity; // on the page's own clock
  #outdated = false;

  /** Starts listening to the gateway; goes on for ever. */
  start() {
    openStream(`${API}/live`, {
      live: (live) => this.#onLive(live),
      status: (status) => this.#onStatus(status),
      broken: () => this.#setConnected(false),
    });
  }

  /** Rollups of a device's power over [from_ms, to_ms), or null. */
  chart(device, from_ms, to_ms) {
    return ask(`chart?device=${encodeURIComponent(device)}&from_ms=${from_ms}&to_ms=${to_ms}`);
  }

  #setConnected(connected) {
    if (this.connected === connected) return;
    this.connected = connected;
    this.dispatchEvent(new Event("connection"));
    if (connected) this.#loadAll();
  }

  #onLive(live) {
    this.t_ms = live.t_ms;
    this.#setConnected(true);
    const known = new Map(this.devices.map((device) => [device.name, device]));
    for (const news of live.devices) {
      this.history.add(news.name, live.t_ms, news.power_W);
      const device = known.get(news.name);
      if (device) this.#outdated = takeNews(device, news, live.t_ms) || this.#outdated;
    }
    this.#outdated ||= live.devices.length !== this.devices.length;
    this.dispatchEvent(new Event("live"));
  }

  #onStatus(status) {
    this.status = status;
    this.dispatchEvent(new Event("status"));
    if (this.#outdated || performance.now() - this.#devicesAt_ms > DEVICES_EACH_MS) this.#loadDevices();
  }

  async #loadAll() {
    await this.#loadDevices();
    for (const { name } of this.devices) {
      const past = await ask(`history?device=${encodeURIComponent(name)}&minutes=${HISTORY_MINUTES}`);
      if (past) this.history.replace(name, past.t_ms, past.power_W);
    }
    this.dispatchEvent(new Event("status"));
  }

  async #loadDevices() {
    this.#devicesAt_ms = performance.now();
    this.#outdated = false;
    const answer = await ask("devices");
    if (!answer) return;
    this.devices = answer.devices;
    for (const device of this.devices) {
      device.seen_ms = device.age_s === null ? null : this.t_ms - device.age_s * 1000;
    }
    this.dispatchEvent(new Event("devices"));
  }
}

/** Puts live values into a device. True when words that travel only with the device list no longer fit. */
function takeNews(device, news, t_ms) {
  let outdated = device.state !== news.state;
  device.state = news.state;
  device.power_W = news.power_W;
  if (news.state === "ok") device.seen_ms = t_ms;
  for (const point of device.points) {
    const value = news.values[point.name];
    if (value === undefined || typeof point.value === "string" || value === point.value) continue;
    if (value === null || point.value === null || point.text !== null) outdated = true;
    point.value = value;
  }
  return outdated;
}

/** The answer, or null when the gateway cannot be reached or refuses: the stream's watchdog tells that to people. */
async function ask(path) {
  try {
    const response = await fetch(`${API}/${path}`);
    return response.ok ? await response.json() : null;
  } catch (error) {
    if (error instanceof TypeError) return null; // what fetch throws when there is no connection
    throw error;
  }
}
