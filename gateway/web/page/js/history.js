// Power of the last hour, by device and minute: what the gateway remembered, then what came in live.

const MINUTE_MS = 60_000;

export class PowerHistory {
  #minutes;
  #devices = new Map(); // name -> Map(minute -> {sum, count})

  constructor(minutes) {
    this.#minutes = minutes;
  }

  /** Takes what the gateway remembers of one device, in place of what was here. */
  replace(device, t_ms, power_W) {
    this.#devices.set(device, new Map());
    t_ms.forEach((t, i) => this.add(device, t, power_W[i]));
  }

  /** Takes one value; null adds nothing, it is a gap and not a zero. */
  add(device, t_ms, power_W) {
    if (power_W === null) return;
    if (!this.#devices.has(device)) this.#devices.set(device, new Map());
    const buckets = this.#devices.get(device);
    const minute = Math.floor(t_ms / MINUTE_MS);
    const bucket = buckets.get(minute);
    if (bucket) {
      bucket.sum += power_W;
      bucket.count += 1;
      return;
    }
    buckets.set(minute, { sum: power_W, count: 1 });
    for (const old of buckets.keys()) if (old <= minute - this.#minutes) buckets.delete(old);
  }

  /**
   * Columns for a chart: [times in s, then one column for each group of device names].
   * A group is the sum of its devices' means, and a gap in each minute in which one of them is missing;
   * a device that has no value in the whole hour is left out.
   */
  columns(groups, now_ms) {
    const last = Math.floor(now_ms / MINUTE_MS);
    const minutes = Array.from({ length: this.#minutes }, (_, i) => last - this.#minutes + 1 + i);
    const series = groups.map((names) => {
      const heard = names.map((name) => this.#devices.get(name)).filter((buckets) => buckets?.size > 0);
      return minutes.map((minute) => sumOfMeans(heard.map((buckets) => buckets.get(minute))));
    });
    return [minutes.map((minute) => (minute * MINUTE_MS) / 1000), ...series];
  }
}

function sumOfMeans(buckets) {
  if (buckets.length === 0 || buckets.includes(undefined)) return null;
  return buckets.reduce((total, { sum, count }) => total + sum / count, 0);
}
