// Results, told without taking the focus. Seam: notify(text) shows a notice for a while and has it read out.
// What went wrong belongs to its form (form.js), not here.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const SHOWN_MS = 8000;

/** Shows a notice at the foot of the window in the place of an earlier one, which screen readers read when they have a moment. */
export function notify(text) {
    const close = h("button", { type: "button", class: "quiet", "aria-label": t("action.close"), onclick: () => notice.remove() }, "×");
    const notice = h("div", { class: "notice" }, h("p", {}, text), close);
    document.getElementById("notices").replaceChildren(notice);
    setTimeout(() => notice.remove(), SHOWN_MS);
}
