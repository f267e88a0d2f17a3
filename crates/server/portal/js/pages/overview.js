// The beginning of the account pages: who one is, what is worth doing, and where the rest is.

import { call } from "../api.js";
import { unavailable } from "../afterwards.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { link, message, section, sheet } from "../layout.js";
import { rooms } from "../shell.js";
import { state } from "../state.js";

export const title = "overview.title";

/** With fewer recovery codes than this, it is time for new ones. */
const FEW_CODES = 3;

export async function render() {
    const mfa = state.config.mfa?.supported_types ?? [];
    const [emails, authenticators] = await Promise.all([
        call("GET", "account/email"),
        mfa.length > 0 ? call("GET", "account/authenticators") : null,
    ]);
    if (!state.session) return unavailable(t(title), emails);
    const todo = worthDoing(emails.ok ? emails.data : [], authenticators?.ok ? authenticators.data : null, mfa);
    return sheet(
        t(title),
        {},
        section(t("overview.you"), {}, facts(state.session.user)),
        section(t("overview.todo"), {}, todo.length > 0 ? h("ul", { class: "rows" }, todo) : message(t("overview.nothing"), "good")),
        section(t("overview.rest"), {}, h("ul", { class: "tiles" }, rooms().filter((room) => room.path !== "/account").map(tile))),
    );
}

/** Who one is. */
function facts({ display, email, username }) {
    const known = [
        ["overview.display", display],
        ["field.username", username !== display && username],
        ["field.email", email],
    ];
    return h("dl", { class: "facts" }, known.filter(([, value]) => value).map(([key, value]) => h("div", {}, h("dt", {}, t(key)), h("dd", {}, value))));
}

function worthDoing(emails, authenticators, mfa) {
    const unverified = emails.find((entry) => entry.primary && !entry.verified) ?? emails.find((entry) => !entry.verified);
    const codes = authenticators?.find((entry) => entry.type === "recovery_codes");
    const factors = authenticators?.filter((entry) => entry.type !== "recovery_codes") ?? [];
    const codesUsed = mfa.includes("recovery_codes") && factors.length > 0;
    return [
        unverified && hint("verify", "/account/emails", { email: unverified.email }),
        emails.length === 0 && hint("add_email", "/account/emails"),
        authenticators && factors.length === 0 && mfa.some((type) => type !== "recovery_codes") && hint("second_factor", "/account/security"),
        codesUsed && !codes && hint("codes", "/account/security"),
        codesUsed && codes && codes.unused_code_count < FEW_CODES && hint("few_codes", "/account/security", { count: codes.unused_code_count }),
    ].filter(Boolean);
}

function hint(name, path, values = {}) {
    const what = h("div", { class: "what" }, h("p", { class: "name" }, h("strong", {}, t(`overview.${name}`))), h("p", { class: "small" }, t(`overview.${name}_text`, values)));
    const go = t(`overview.${name}_go`);
    return h("li", { class: "row" }, what, h("div", { class: "actions" }, link(go, path, { class: "button primary" })));
}

function tile({ path, key }) {
    return h("li", {}, h("a", { href: path }, h("strong", {}, t(key)), h("span", { class: "small" }, t(`${key}_text`))));
}
