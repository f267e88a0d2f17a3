// Sign up with whatever the settings ask for.

import { call } from "../api.js";
import { h } from "../dom.js";
import { form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, or, ways } from "../layout.js";
import { filled, signupFields } from "../names.js";
import { providerButtons } from "../providers.js";
import { proceed } from "../router.js";
import { flow, state } from "../state.js";
import { isSupported } from "../webauthn.js";

export const title = "signup.title";

export function render() {
    const others = [
        providerButtons("login"),
        flow("signup") && state.settings.passkey_signup && isSupported() && link(t("signup.by_passkey"), "/account/signup/passkey", { class: "button" }),
    ].filter(Boolean);
    const open = flow("signup");
    return entrance(
        t("signup.title"),
        { lead: open ? t("signup.lead", { name: state.settings.name }) : t("signup.closed") },
        open && byForm(),
        open && others.length > 0 && or(),
        state.config.account.is_open_for_signup && others,
        ways(link(t("signup.log_in"), "/account/login")),
    );
}

function byForm() {
    const fields = signupFields(state.settings.signup_fields);
    const trap = honeypot();
    const action = async (values) => {
        if (trap) values[trap.input.name] = trap.input.value;
        const answer = await call("POST", "auth/signup", filled(values));
        return proceed(answer, { email: values.email, phone: values.phone }) ? undefined : answer;
    };
    return form({ fields, extra: trap?.element, submit: t("action.sign_up"), action });
}

/** A field that nobody sees and robots fill in, where the settings have one. */
function honeypot() {
    const name = state.settings.honeypot;
    if (!name) return null;
    const input = h("input", { type: "text", name, tabindex: "-1", autocomplete: "off" });
    return { input, element: h("div", { class: "trap", "aria-hidden": "true" }, input) };
}
