// Lists of what an account has. Seam: rows(...row) of row({ name, badges, details, actions }); badge(text, kind) with kind
// "good", "warn" or none; act(label, action, kind) is a button of a row, which names the row to those who cannot see it.

import { h } from "./dom.js";
import { button } from "./layout.js";

/** A list, one row for each thing. */
export function rows(...items) {
    return h("ul", { class: "rows" }, items);
}

/** A row: what it is, what is to be known about it, and what can be done with it. */
export function row({ name, badges = [], details = [], actions = [] }) {
    const shown = actions.filter(Boolean);
    return h(
        "li",
        { class: "row" },
        h(
            "div",
            { class: "what" },
            h("p", { class: "name" }, h("strong", {}, name), badges),
            details.filter(Boolean).map((text) => h("p", { class: "small" }, text)),
        ),
        shown.length > 0 && h("div", { class: "actions" }, shown.map((make) => make(name))),
    );
}

/** A word about a thing. */
export function badge(text, kind = "") {
    return h("span", { class: `badge ${kind}` }, text);
}

/** A button for a row. */
export function act(label, action, kind = "secondary") {
    return (name) => button(label, action, kind, { "aria-label": `${label}: ${name}` });
}
