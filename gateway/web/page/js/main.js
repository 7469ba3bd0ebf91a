// Starts the page: language, frame, and the rooms in it.

import { mountFrame } from "./frame.js";
import { makeFormat } from "./format.js";
import { loadWords, preferredLanguage, rememberLanguage } from "./i18n.js";
import { mountOverview } from "./overview/overview.js";
import { Site } from "./site.js";

const site = new Site();
let mounted = null;

async function show(language) {
  const t = await loadWords(language);
  mounted?.abort();
  mounted = new AbortController();
  document.documentElement.lang = language;
  const context = { site, t, format: makeFormat(language), signal: mounted.signal };
  mountFrame(context, language, (chosen) => {
    rememberLanguage(chosen);
    show(chosen);
  });
  mountOverview(context, document.getElementById("main"));
}

await show(preferredLanguage());
site.start();
