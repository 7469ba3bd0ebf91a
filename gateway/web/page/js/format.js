// Numbers, units and times as people of a language write them. Carbon is computed as BigInt, never as Number:
// a Number stops being exact at 2^53 ng, which is nine tonnes.

/** Shown wherever there is no value. Never 0. */
export const NO_VALUE = "—";

const MINUS = "\u2212";
const NBSP = "\u00a0";
const CARBON_UNITS = [
  ["t", 15],
  ["kg", 12],
  ["g", 9],
  ["mg", 6],
];

export function makeFormat(locale) {
  const numbers = (digits, least = digits) =>
    new Intl.NumberFormat(locale, { maximumFractionDigits: digits, minimumFractionDigits: least });
  const whole = numbers(0);
  const fixed2 = numbers(2);
  const plain = numbers(3, 0);
  const precise = numbers(6, 0);
  const point = fixed2.formatToParts(1.5).find((part) => part.type === "decimal").value;
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const exactClock = new Intl.DateTimeFormat(locale, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const shortDay = new Intl.DateTimeFormat(locale, { month: "numeric", day: "numeric" });
  const length = (unit) =>
    new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 });
  const hoursLong = length("hour");
  const daysLong = length("day");
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "narrow" });

  const withUnit = (number, unit) => `${number.replace("-", MINUS)}${unit && NBSP}${unit}`;

  /** [number, unit] of a power in W, or null for no value. */
  function powerParts(power_W) {
    if (power_W === null) return null;
    const size = Math.abs(power_W);
    if (size < 999.5) return [whole.format(power_W), "W"];
    if (size < 999_995) return [fixed2.format(power_W / 1e3), "kW"];
    return [fixed2.format(power_W / 1e6), "MW"];
  }

  /** [number, unit] of an energy in mWh, or null for no value. */
  function energyParts(energy_mWh) {
    if (energy_mWh === null) return null;
    const size = Math.abs(energy_mWh);
    if (size < 999_500) return [whole.format(energy_mWh / 1e3), "Wh"];
    if (size < 999_995_000) return [fixed2.format(energy_mWh / 1e6), "kWh"];
    return [fixed2.format(energy_mWh / 1e9), "MWh"];
  }

  /** [number, unit] of carbon given as decimal text in ng, rounded half to even to three places, or null. */
  function carbonParts(ng) {
    if (ng === null) return null;
    const amount = BigInt(ng);
    const size = amount < 0n ? -amount : amount;
    for (const [unit, exponent] of CARBON_UNITS) {
      const step = 10n ** BigInt(exponent - 3);
      const thousandths = divideHalfEven(size, step);
      if (thousandths >= 1000n) {
        const sign = amount < 0n ? "-" : "";
        const rest = String(thousandths % 1000n).padStart(3, "0");
        return [`${sign}${whole.format(thousandths / 1000n)}${point}${rest}`, unit];
      }
    }
    return [whole.format(amount), "ng"];
  }

  const joined = (parts) => (parts === null ? NO_VALUE : withUnit(...parts));

  return {
    locale,
    powerParts,
    energyParts,
    carbonParts,
    minus: (text) => text.replace("-", MINUS),
    power: (power_W) => joined(powerParts(power_W)),
    energy: (energy_mWh) => joined(energyParts(energy_mWh)),
    carbon: (ng) => joined(carbonParts(ng)),
    /** Every digit. */
    exactCarbon: (ng) => (ng === null ? NO_VALUE : withUnit(whole.format(BigInt(ng)), "ng")),
    /** A grid factor, without a digit lost: 140400 mg is 0.1404 kg. */
    factor: (value_mg_per_kWh) => withUnit(precise.format(value_mg_per_kWh / 1e6), "kg/kWh"),
    count: (number) => whole.format(number),
    /** Any measured value with its unit. */
    value: (value, unit) => {
      if (value === null) return NO_VALUE;
      return withUnit(typeof value === "number" ? plain.format(value) : value, unit);
    },
    bytes: (bytes) => {
      if (bytes === null) return NO_VALUE;
      const step = Math.min(Math.max(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 0), 3);
      return withUnit(numbers(step === 0 ? 0 : 1).format(bytes / 1000 ** step), ["B", "kB", "MB", "GB"][step]);
    },
    clock: (t_ms) => clock.format(t_ms),
    day: (t_ms) => day.format(t_ms),
    shortDay: (t_ms) => shortDay.format(t_ms),
    moment: (t_ms) => `${shortDay.format(t_ms)} ${clock.format(t_ms)}`,
    /** "3 days", from hours. */
    duration: (hours) => (hours < 48 ? hoursLong.format(hours) : daysLong.format(hours / 24)),
    exactClock: (t_ms) => exactClock.format(t_ms),
    /** "3 minutes ago", from seconds. */
    ago: (age_s) => {
      if (age_s < 90) return relative.format(-Math.round(age_s), "second");
      if (age_s < 5400) return relative.format(-Math.round(age_s / 60), "minute");
      if (age_s < 129_600) return relative.format(-Math.round(age_s / 3600), "hour");
      return relative.format(-Math.round(age_s / 86_400), "day");
    },
  };
}

function divideHalfEven(amount, step) {
  const quotient = amount / step;
  const twice = (amount % step) * 2n;
  return twice > step || (twice === step && quotient % 2n === 1n) ? quotient + 1n : quotient;
}
