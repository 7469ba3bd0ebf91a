// Words in two languages. The dictionaries are flat JSON files with the same keys.

export const LANGUAGES = { "zh-CN": "中文", en: "English" };
const FALLBACK = "zh-CN";
const CHOICE = "huxi.language";

/** What was chosen here before, else the first of the browser's languages that we speak, else Chinese. */
export function preferredLanguage() {
  const wanted = [localStorage.getItem(CHOICE), ...navigator.languages];
  for (const language of wanted) {
    if (language?.startsWith("zh")) return "zh-CN";
    if (language?.startsWith("en")) return "en";
  }
  return FALLBACK;
}

export function rememberLanguage(language) {
  localStorage.setItem(CHOICE, language);
}

/** Loads a dictionary and gives t(key, values); t.has(key) says whether there are words for it. */
export async function loadWords(language) {
  const response = await fetch(`i18n/${language}.json`);
  if (!response.ok) throw new Error(`i18n/${language}.json: ${response.status}`);
  return makeTranslator(await response.json());
}

export function makeTranslator(words) {
  const t = (key, values = {}) => {
    if (!(key in words)) throw new Error(`no words for ${key}`);
    return words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  };
  t.has = (key) => key in words;
  t.or = (key, otherwise) => (key in words ? words[key] : otherwise);
  return t;
}
