// Taking texts along. Seam: copyButton(text) puts a text on the clipboard; downloadButton(name, text) saves it as a file.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./layout.js";

/** A button that copies; nothing where the browser has no clipboard for pages, as without https. */
export function copyButton(text) {
    if (!navigator.clipboard) return null;
    // Not a notice: those are out of reach while a dialog is open.
    const said = h("span", { class: "small", role: "status" });
    const copy = async () => {
        said.textContent = "";
        const copied = await navigator.clipboard.writeText(text).then(() => true, () => false);
        said.textContent = t(copied ? "copy.done" : "copy.failed");
    };
    return h("span", { class: "copy" }, button(t("action.copy"), copy), said);
}

/** A button that saves a text file. */
export function downloadButton(name, text) {
    const save = () => {
        const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
        h("a", { href: url, download: name }).click();
        // The browser reads it after the click.
        setTimeout(() => URL.revokeObjectURL(url), 10_000);
    };
    return button(t("action.download"), save);
}
