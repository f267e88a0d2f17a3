// Recovery codes: how many are left, showing them to be kept, and making new ones.

import { call } from "../api.js";
import { teller } from "../afterwards.js";
import { copyButton, downloadButton } from "../copy.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { day, t } from "../i18n.js";
import { button, message, section } from "../layout.js";
import { state } from "../state.js";

const PATH = "account/authenticators/recovery-codes";

/** With fewer than this, it is time for new ones. */
const FEW = 3;

/** `codes`: the API's answer that holds those to be shown, if any are. */
export function codesSection({ authenticators, codes, changed }) {
    const set = authenticators.find((entry) => entry.type === "recovery_codes");
    const factor = authenticators.some((entry) => entry.type !== "recovery_codes");
    if (!set && !factor) return false;
    const said = teller();
    const show = async () => {
        const answer = await call("GET", PATH);
        if (!said.tell(answer)) return;
        if (answer.data.unused_codes) await changed("codes", { codes: answer.data });
        else said.say(t("codes.shown_once"), "info");
    };
    const make = async () => {
        const sure = !set || (await confirm({ title: t("codes.again_title"), text: t("codes.again_text"), action: t("codes.again"), danger: true }));
        if (!sure) return;
        const answer = await call("POST", PATH);
        if (said.tell(answer)) await changed("codes", { codes: answer.data, done: t("codes.made") });
    };
    return section(
        t("codes.title"),
        { lead: t("codes.lead") },
        said.element,
        set && standing(set),
        codes?.unused_codes && sheetOf(codes.unused_codes),
        h(
            "div",
            { class: "actions" },
            codes ? button(t("codes.hide"), () => changed("codes")) : set && set.unused_code_count > 0 && button(t("codes.show"), show),
            factor && button(t(set ? "codes.again" : "codes.make"), make, set ? "secondary" : "primary"),
        ),
    );
}

function standing({ unused_code_count: left, total_code_count: total, created_at: at }) {
    const text = t("codes.left", { count: left, total, when: day(at) });
    return left < FEW ? message(text, "bad") : h("p", {}, text);
}

/** The codes, and the ways to keep them. */
function sheetOf(codes) {
    const { settings, session } = state;
    const heading = t("codes.heading", { name: settings.name, display: session.user.display });
    const text = [heading, "", ...codes, "", t("codes.once"), ""].join("\r\n");
    return h(
        "div",
        { class: "stack printed" },
        h("p", { class: "on-paper" }, heading),
        h("ol", { class: "codes", "aria-label": t("codes.title") }, codes.map((code) => h("li", {}, h("code", {}, code)))),
        h("p", { class: "small" }, t("codes.keep")),
        h(
            "div",
            { class: "actions" },
            copyButton(codes.join("\n")),
            downloadButton(t("codes.file"), text),
            button(t("action.print"), () => window.print()),
        ),
    );
}
