// The roles devices play, in the order people read a site: what comes in, what is stored, what is used.

const ORDER = ["pv", "hydro", "generator", "grid", "battery", "load", "charger", "light", "wastewater", "water"];

const rank = (role) => (ORDER.includes(role) ? ORDER.indexOf(role) : ORDER.length);

/** These roles in reading order; one we do not know comes last. */
export function sortRoles(roles) {
  return [...roles].sort((a, b) => rank(a) - rank(b));
}

/** [[role, its devices], …] in reading order. */
export function byRole(devices) {
  const roles = sortRoles(new Set(devices.map((device) => device.role)));
  return roles.map((role) => [role, devices.filter((device) => device.role === role)]);
}

/** The colour of a role, as style.css knows it. */
export function roleColour(role) {
  const style = getComputedStyle(document.documentElement);
  return style.getPropertyValue(`--role-${role}`) || style.getPropertyValue("--role-other");
}
