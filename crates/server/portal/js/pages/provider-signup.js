// A third party vouches for somebody new: asks for what it did not tell.

import { call } from "../api.js";
import { form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, message } from "../layout.js";
import { filled, signupFields } from "../names.js";
import { proceed } from "../router.js";
import { state } from "../state.js";
import { abandonButton, lost } from "../waiting.js";

export const title = "provider_signup.title";

export async function render() {
    const waiting = await call("GET", "auth/provider/signup");
    if (await lost(waiting)) return null;
    if (!waiting.ok) return entrance(t("provider_signup.title"), {}, message(t("signup.closed"), "bad"), abandonButton(t("action.to_login")));
    const { account, email, user } = waiting.data;
    const action = async (values) => {
        const answer = await call("POST", "auth/provider/signup", filled(values));
        if (await lost(answer)) return undefined;
        return proceed(answer, { email: values.email, phone: values.phone }) ? undefined : answer;
    };
    return entrance(
        t("provider_signup.title"),
        { lead: t("provider_signup.lead", { provider: account.provider.name, display: account.display }) },
        form({
            fields: signupFields(asked(), { password: false, given: { email: email[0]?.email, username: user.username } }),
            submit: t("action.sign_up"),
            action,
        }),
        abandonButton(t("action.cancel")),
    );
}

/** What the signup asks for, but for the password and the address a second time. */
function asked() {
    const fields = state.settings.signup_fields.filter(({ name }) => ["email", "username", "phone"].includes(name));
    const { provider_email_required: required } = state.settings;
    const others = fields.filter(({ name }) => name !== "email");
    const email = required || fields.length > others.length ? [{ name: "email", required }] : [];
    return [...email, ...others];
}
