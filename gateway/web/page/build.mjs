// Puts the page together: our sources and uPlot's files, side by side in ../static. Nothing is bundled or
// changed, so what a browser shows in its tools is what stands in this folder.

import { cp, mkdir, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 200_000; // the whole page, compressed

const here = fileURLToPath(new URL(".", import.meta.url));
const uplot = join(here, "node_modules", "uplot");
const finished = join(here, "..", "static");
const fresh = join(here, "build");

await rm(fresh, { recursive: true, force: true });
await mkdir(join(fresh, "vendor"), { recursive: true });
for (const source of ["index.html", "style.css", "favicon.svg", "i18n", "js"]) {
  await cp(join(here, source), join(fresh, source), { recursive: true });
}
await cp(join(uplot, "dist", "uPlot.esm.js"), join(fresh, "vendor", "uPlot.esm.js"));
await cp(join(uplot, "dist", "uPlot.min.css"), join(fresh, "vendor", "uPlot.min.css"));
await cp(join(uplot, "LICENSE"), join(fresh, "vendor", "uPlot-LICENSE.txt"));

let bytes = 0;
for (const entry of await readdir(fresh, { recursive: true, withFileTypes: true })) {
  if (entry.isFile()) bytes += gzipSync(await readFile(join(entry.parentPath ?? entry.path, entry.name))).length;
}
if (bytes > LIMIT_BYTES) {
  throw new Error(`the page has ${bytes} bytes compressed, more than ${LIMIT_BYTES}: ${fresh}`);
}
await rm(finished, { recursive: true, force: true });
await rename(fresh, finished);
console.log(`page built: ${bytes} bytes compressed`);
