// Power of the last hour, by device and ten seconds: what the gateway remembered, then what came in live.

const STEP_MS = 10_000;
const STEPS_A_MINUTE = 6;
const YOUNG_MINUTES = 10; // a history shorter than this is drawn step by step, a longer one by the minute

export class PowerHistory {
  #steps;
  #devices = new Map(); // name -> Map(step -> {sum, count})

  constructor(minutes) {
    this.#steps = minutes * STEPS_A_MINUTE;
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
    const step = Math.floor(t_ms / STEP_MS);
    const bucket = buckets.get(step);
    if (bucket) {
      bucket.sum += power_W;
      bucket.count += 1;
      return;
    }
    buckets.set(step, { sum: power_W, count: 1 });
    for (const old of buckets.keys()) if (old <= step - this.#steps) buckets.delete(old);
  }

  /**
   * Columns for a chart: [times in s, then one column for each group of device names].
   * They begin with the first value, by steps while the history is young and by minutes later. A group is the
   * sum of its devices' means, and a gap wherever one of them is missing; a device that has no value at all is
   * left out.
   */
  columns(groups, now_ms) {
    const last = Math.floor(now_ms / STEP_MS);
    const heard = groups.map((names) => names.map((name) => this.#devices.get(name)).filter((b) => b?.size > 0));
    const first = Math.max(last - this.#steps + 1, Math.min(last, ...heard.flat().flatMap((b) => [...b.keys()])));
    const width = last - first < YOUNG_MINUTES * STEPS_A_MINUTE ? 1 : STEPS_A_MINUTE;
    const begin = Math.floor(first / width);
    const cells = Array.from({ length: Math.floor(last / width) - begin + 1 }, (_, i) => begin + i);
    const series = heard.map((devices) => cells.map((cell) => sumOfMeans(devices.map((b) => mean(b, cell, width)))));
    return [cells.map((cell) => (cell * width * STEP_MS) / 1000), ...series];
  }
}

/** Mean of a device's values in a cell of `width` steps, null when it has none there. */
function mean(buckets, cell, width) {
  let sum = 0;
  let count = 0;
  for (let step = cell * width; step < (cell + 1) * width; step += 1) {
    sum += buckets.get(step)?.sum ?? 0;
    count += buckets.get(step)?.count ?? 0;
  }
  return count === 0 ? null : sum / count;
}

function sumOfMeans(means) {
  return means.length === 0 || means.includes(null) ? null : means.reduce((total, one) => total + one, 0);
}
