// The dialog that asks people to prove again who they are. Seam: none; main.js has api.js call reauthenticate(flows)
// wherever the API asks for it, and the request is repeated if that gives true.

import { call } from "./api.js";
import { open } from "./dialog.js";
import { h } from "./dom.js";
import { codeField, form, passwordField, usernameNote } from "./form.js";
import { t } from "./i18n.js";
import { button, message, or } from "./layout.js";
import { state } from "./state.js";
import { get, isSupported } from "./webauthn.js";

/** Shows what ways there are, and gives whether one of them was gone. */
export async function reauthenticate(flows) {
    const mfa = flows.find((flow) => flow.id === "mfa_reauthenticate")?.types ?? [];
    const ways = [
        flows.some((flow) => flow.id === "reauthenticate") && byPassword,
        mfa.includes("webauthn") && isSupported() && byKey,
        mfa.some((type) => type === "totp" || type === "recovery_codes") && byCode(mfa),
    ].filter(Boolean);
    const proved = await open(t("reauthenticate.title"), (close) => [
        h("p", { class: "lead" }, t("reauthenticate.lead")),
        ways.map((way, index) => [index > 0 && or(), way(close)]).flat(),
        h("div", { class: "actions" }, button(t("action.cancel"), () => close(false), "quiet")),
    ].flat());
    return proved === true;
}

function byPassword(close) {
    return form({
        label: t("reauthenticate.by_password"),
        fields: [usernameNote(state.session.user), passwordField({ autocomplete: "current-password" })],
        submit: t("action.confirm"),
        action: (values) => tell(close, call("POST", "auth/reauthenticate", values, { quiet: true })),
    });
}

function byCode(types) {
    const label = t(types.includes("totp") ? "second_factor.code" : "second_factor.recovery_code");
    return (close) =>
        form({
            label,
            fields: [codeField({ label, numeric: true })],
            submit: t("action.confirm"),
            action: (values) => tell(close, call("POST", "auth/2fa/reauthenticate", values, { quiet: true })),
        });
}

function byKey(close) {
    const said = h("div", { class: "said", "aria-live": "polite" });
    const prove = async () => {
        said.replaceChildren();
        const options = await call("GET", "auth/webauthn/reauthenticate", undefined, { quiet: true });
        const credential = options.ok && (await get(options.data));
        if (!credential) return;
        const answer = await call("POST", "auth/webauthn/reauthenticate", { credential }, { quiet: true });
        if (answer.ok) close(true);
        else said.append(message(answer.errors[0]?.message ?? t("failure.unknown"), "bad"));
    };
    return h("div", { class: "stack tight" }, button(t("passkey.use"), prove), said);
}

async function tell(close, asked) {
    const answer = await asked;
    if (!answer.ok) return answer;
    close(true);
    return undefined;
}
