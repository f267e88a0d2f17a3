// A password was forgotten: asks for the address that a link or a code is sent to.

import { call } from "../api.js";
import { field, form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message, ways } from "../layout.js";
import { navigate, refresh } from "../router.js";
import { isPending, state } from "../state.js";

export const title = "reset.title";

export function render({ carry }) {
    if (carry?.sent) return sent(carry.sent);
    const action = async (values) => {
        const answer = await call("POST", "auth/password/request", values);
        if (answer.status === 401 && isPending("password_reset_by_code")) {
            return void navigate("/account/password/reset/code", { carry: values });
        }
        if (!answer.ok) return answer;
        history.replaceState({ sent: values.email }, "");
        return void refresh();
    };
    const byCode = state.config.account.password_reset_by_code_enabled;
    return entrance(
        t("reset.title"),
        { lead: t(byCode ? "reset.lead_code" : "reset.lead_link") },
        carry?.notice && message(carry.notice, "bad"),
        form({
            fields: [field({ name: "email", label: t("field.email"), type: "email", autocomplete: "email" })],
            submit: t(byCode ? "reset.send_code" : "reset.send_link"),
            action,
        }),
        back(),
    );
}

function sent(email) {
    return entrance(t("reset.sent_title"), { lead: t("reset.sent_lead", { email }) }, message(t("reset.sent_hint")), back());
}

function back() {
    return state.session ? ways(link(t("action.to_account"), "/account/password")) : ways(link(t("reset.back"), "/account/login"));
}
