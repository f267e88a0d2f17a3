// What pages are built of. Seam: entrance(title, ...) is a narrow card with a heading for the ways in; sheet(title, ...)
// the content of an account page, made of section(title, ...); button(label, action, kind), link(label, href).

import { h, unique } from "./dom.js";
import { t } from "./i18n.js";

/** A card in the middle of the window. `lead` is the sentence under its heading. */
export function entrance(title, { lead, wide = false } = {}, ...children) {
    return h(
        "div",
        { class: wide ? "entrance wide" : "entrance" },
        h("section", { class: "card" }, h("h1", {}, title), lead && h("p", { class: "lead" }, lead), children),
    );
}

/** A page of the account. */
export function sheet(title, { lead } = {}, ...children) {
    return h("div", { class: "sheet" }, h("h1", {}, title), lead && h("p", { class: "lead" }, lead), children);
}

/** A part of a page of the account, in a card of its own. */
export function section(title, { lead } = {}, ...children) {
    const id = unique("section");
    return h(
        "section",
        { class: "card", "aria-labelledby": id },
        h("h2", { id }, title),
        lead && h("p", { class: "lead" }, lead),
        children,
    );
}

/** A button that is busy until its action is done. `kind`: "primary", "secondary", "danger" or "quiet". */
export function button(label, action, kind = "secondary", properties = {}) {
    const element = h("button", { type: "button", class: kind, ...properties }, label);
    element.addEventListener("click", () => busy(element, action));
    return element;
}

/** Runs `action` while a button shows that it is busy. */
export async function busy(element, action) {
    if (element.getAttribute("aria-disabled") === "true") return;
    element.setAttribute("aria-disabled", "true");
    element.classList.add("busy");
    try {
        await action();
    } finally {
        element.removeAttribute("aria-disabled");
        element.classList.remove("busy");
    }
}

/** A link. */
export function link(label, href, properties = {}) {
    return h("a", { href, ...properties }, label);
}

/** Links below a form, one under the other. */
export function ways(...links) {
    const shown = links.filter(Boolean);
    return shown.length > 0 && h("ul", { class: "ways" }, shown.map((link) => h("li", {}, link)));
}

/** A line with "or" in it. */
export function or() {
    return h("p", { class: "or" }, h("span", {}, t("layout.or")));
}

/** A message that stays: `kind` is "info", "good" or "bad". */
export function message(text, kind = "info") {
    return h("div", { class: `message ${kind}`, role: kind === "bad" ? "alert" : null }, h("p", {}, text));
}
