// Log in: by password, code, passkey or a third party, as the flows say.

import { call } from "../api.js";
import { field, form, passwordField } from "../form.js";
import { list, t } from "../i18n.js";
import { entrance, link, message, or, ways } from "../layout.js";
import { hasPasskeys, offerPasskeys, passkeyButton } from "../passkeys.js";
import { providerButtons } from "../providers.js";
import { proceed } from "../router.js";
import { flow, state } from "../state.js";

export const title = "login.title";

/** The members of the login that name an account, in the order of preference. */
const NAMES = ["email", "username", "phone"];

export function render({ signal, carry }) {
    const parts = [providerButtons("login"), hasPasskeys() && passkeyButton(), flow("login_by_code") && byCode()].filter(Boolean);
    const password = flow("login") && byPassword();
    const view = entrance(
        t("login.title"),
        { lead: t("login.lead", { name: state.settings.name }) },
        carry?.notice && message(carry.notice, "good"),
        password,
        password && parts.length > 0 && or(),
        parts,
        ways(
            password && link(t("login.forgotten"), "/account/password/reset"),
            flow("signup") && link(t("login.sign_up"), "/account/signup"),
        ),
    );
    if (hasPasskeys() && password) offerPasskeys(signal);
    return view;
}

function byPassword() {
    const methods = NAMES.filter((method) => state.config.account.login_methods.includes(method));
    const only = methods.length === 1 ? methods[0] : null;
    const name = field({
        name: "login",
        label: list(methods.map((method) => t(`field.${method}`))),
        type: { email: "email", phone: "tel" }[only] ?? "text",
        autocomplete: "username webauthn",
        autocapitalize: "none",
        spellcheck: "false",
    });
    name.takes = NAMES;
    return form({
        label: t("login.by_password"),
        fields: [name, passwordField({ autocomplete: "current-password" })],
        submit: t("action.log_in"),
        action: async ({ login, password }) => {
            const answer = await call("POST", "auth/login", { [meant(login, methods)]: login, password });
            return proceed(answer) ? undefined : answer;
        },
    });
}

/** What of the account somebody has typed. */
function meant(text, methods) {
    if (methods.includes("email") && text.includes("@")) return "email";
    if (methods.includes("phone") && /^\+?[\d\s()./-]{5,}$/.test(text)) return "phone";
    return methods.includes("username") ? "username" : methods[0];
}

function byCode() {
    return link(t("login.by_code"), "/account/login/code", { class: "button" });
}
