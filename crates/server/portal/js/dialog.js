// Dialogs. Seam: open(title, (close) => content) shows one and gives what it is closed with (undefined by Escape);
// confirm({ title, text, action, danger }) asks a question and gives true or false.

import { h, unique } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./layout.js";

/** Shows a dialog until `close(value)` is called. The focus goes back to where it was. */
export function open(title, content) {
    return new Promise((resolve) => {
        const id = unique("dialog");
        let value;
        const dialog = h("dialog", { "aria-labelledby": id });
        const close = (given) => {
            value = given;
            dialog.close();
        };
        dialog.append(h("h2", { id, tabindex: "-1" }, title), ...[content(close)].flat().filter(Boolean));
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(value);
        });
        document.body.append(dialog);
        dialog.showModal();
        const first = dialog.querySelector("input:not([tabindex])") ?? dialog.querySelector("h2");
        first.focus();
    });
}

/** Asks whether to do something. */
export async function confirm({ title, text, action, danger = false }) {
    const answer = await open(title, (close) => [
        h("p", {}, text),
        h(
            "div",
            { class: "actions" },
            button(action, () => close(true), danger ? "danger" : "primary"),
            button(t("action.cancel"), () => close(false)),
        ),
    ]);
    return answer === true;
}
