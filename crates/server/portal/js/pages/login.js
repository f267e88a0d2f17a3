// Log in: by password, code, passkey or a third party, as the flows say.

import { call } from "../api.js";
import { form, passwordField } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message, or, ways } from "../layout.js";
import { named, nameField } from "../names.js";
import { hasPasskeys, offerPasskeys, passkeyButton } from "../passkeys.js";
import { providerButtons } from "../providers.js";
import { proceed } from "../router.js";
import { flow, state } from "../state.js";

export const title = "login.title";

export function render({ signal, carry }) {
    const parts = [providerButtons("login"), hasPasskeys() && passkeyButton(), flow("login_by_code") && byCode()].filter(Boolean);
    const password = flow("login") && byPassword();
    const view = entrance(
        t("login.title"),
        { lead: t("login.lead", { name: state.settings.name }) },
        carry?.notice && message(carry.notice, carry.bad ? "bad" : "good"),
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
    const methods = state.config.account.login_methods;
    return form({
        label: t("login.by_password"),
        fields: [nameField(methods, { autocomplete: "username webauthn" }), passwordField({ autocomplete: "current-password" })],
        submit: t("action.log_in"),
        action: async ({ login, password }) => {
            const answer = await call("POST", "auth/login", { ...named(login, methods), password });
            return proceed(answer) ? undefined : answer;
        },
    });
}

function byCode() {
    return link(t("login.by_code"), "/account/login/code", { class: "button" });
}
