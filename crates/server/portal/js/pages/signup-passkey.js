// Sign up with a passkey: first who it is, and once the address is proved, the passkey.

import { call } from "../api.js";
import { field, form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message, ways } from "../layout.js";
import { filled, signupFields } from "../names.js";
import { proceed } from "../router.js";
import { flow, isPending, state } from "../state.js";
import { abandonButton, lost } from "../waiting.js";
import { create, isSupported } from "../webauthn.js";

export const title = "signup_passkey.title";

export function render() {
    if (!isSupported()) return entrance(t("signup_passkey.title"), {}, message(t("passkey.unsupported"), "bad"), ways(link(t("action.to_login"), "/account/login")));
    if (isPending("mfa_signup_webauthn")) return make();
    const open = flow("signup") && state.settings.passkey_signup;
    return entrance(
        t("signup_passkey.title"),
        { lead: t(open ? "signup_passkey.lead" : "signup.closed") },
        open && begin(),
        ways(open && link(t("signup_passkey.password"), "/account/signup"), link(t("signup.log_in"), "/account/login")),
    );
}

function begin() {
    const fields = signupFields(state.settings.signup_fields, { password: false });
    const action = async (values) => {
        const answer = await call("POST", "auth/webauthn/signup", filled(values));
        return proceed(answer, { email: values.email, phone: values.phone }) ? undefined : answer;
    };
    return form({ fields, submit: t("action.continue"), action });
}

function make() {
    const name = field({ name: "name", label: t("passkey.name"), hint: t("passkey.name_hint"), required: false, maxlength: "100", autocomplete: "off" });
    const action = async (values) => {
        const options = await call("GET", "auth/webauthn/signup");
        if (await lost(options, "/account/signup/passkey")) return undefined;
        if (!options.ok) return options;
        const credential = await create(options.data);
        if (!credential) return { errors: [{ message: t("passkey.not_made") }] };
        const answer = await call("PUT", "auth/webauthn/signup", { ...filled(values), credential });
        return proceed(answer) ? undefined : answer;
    };
    return entrance(
        t("signup_passkey.make_title"),
        { lead: t("signup_passkey.make_lead") },
        form({ fields: [name], submit: t("passkey.make"), action }),
        abandonButton(),
    );
}
