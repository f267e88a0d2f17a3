// Texts by short ids. Seam: t(key, values) is a text; rich(key, nodes) a list of texts and nodes; time(seconds) a moment.
// `{name}` in a text stands for a value; for `count`, the keys `key.one` and `key.other` are looked at (Intl.PluralRules).

let language = "en";
let texts = {};

/** The language that was chosen. */
export function chosen() {
    return language;
}

/** Chooses the first language of the browser that there is, and loads its texts. */
export async function load(languages) {
    const liked = navigator.languages.flatMap((tag) => [tag, tag.split("-")[0]]);
    const known = (tag) => languages.find((language) => language.toLowerCase() === tag.toLowerCase());
    language = liked.map(known).find(Boolean) ?? languages[0];
    const response = await fetch(`/_portal/locales/${language}.json`);
    texts = await response.json();
    document.documentElement.lang = language;
}

/** Whether there is a text of that id. */
export function has(key) {
    return Object.hasOwn(texts, key);
}

/** The text of that id. */
export function t(key, values = {}) {
    return template(key, values).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** As `t`, with nodes for values: a list to be given to `h`. */
export function rich(key, values) {
    const parts = template(key, values).split(/\{(\w+)\}/);
    return parts.map((part, index) => (index % 2 === 1 ? values[part] ?? "" : part));
}

/** A moment, given in seconds since 1970, for people. */
export function time(seconds) {
    const format = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
    return format.format(new Date(seconds * 1000));
}

/** A day, given in seconds since 1970, for people. */
export function day(seconds) {
    return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(seconds * 1000));
}

/** "a, b or c" in the language. */
export function list(items, type = "disjunction") {
    return new Intl.ListFormat(language, { type }).format(items);
}

function template(key, values) {
    if (values.count !== undefined) {
        const plural = `${key}.${new Intl.PluralRules(language).select(values.count)}`;
        return texts[plural] ?? texts[`${key}.other`] ?? key;
    }
    return texts[key] ?? key;
}
