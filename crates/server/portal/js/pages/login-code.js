// Log in by a code: asks where to send it, and then for the code.

import { call } from "../api.js";
import { codeField, form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message, ways } from "../layout.js";
import { named, nameField } from "../names.js";
import { proceed, refresh } from "../router.js";
import { isPending, state } from "../state.js";
import { abandonButton, lost, resendButton } from "../waiting.js";

export const title = "login_code.title";

/** Where the last code went, for people to see whether they mistyped it. */
let sentTo = null;

export function render({ carry }) {
    return isPending("login_by_code") ? confirm() : request(carry);
}

function request(carry) {
    const byPhone = state.config.account.login_methods.includes("phone");
    const byEmail = !byPhone || state.config.account.login_methods.includes("email");
    const methods = [byEmail && "email", byPhone && "phone"].filter(Boolean);
    const fields = [nameField(methods, { autocomplete: byEmail ? "email" : "tel" })];
    const send = async ({ login }) => {
        const answer = await call("POST", "auth/code/request", named(login, methods));
        sentTo = login;
        if (answer.status === 401 && isPending("login_by_code")) return void refresh();
        return proceed(answer) ? undefined : answer;
    };
    return entrance(
        t("login_code.title"),
        { lead: t("login_code.lead") },
        carry?.notice && message(carry.notice, "bad"),
        form({ fields, submit: t("login_code.send"), action: send }),
        ways(link(t("login.other_way"), "/account/login")),
    );
}

function confirm() {
    const send = async (values) => {
        const answer = await call("POST", "auth/code/confirm", values);
        if (await lost(answer, "/account/login/code")) return undefined;
        return proceed(answer) ? undefined : answer;
    };
    return entrance(
        t("login_code.confirm_title"),
        { lead: sentTo ? t("login_code.sent_to", { to: sentTo }) : t("login_code.sent") },
        form({ fields: [codeField()], submit: t("action.log_in"), action: send }),
        resendButton("auth/code/resend", state.settings.resend.login_code),
        abandonButton(),
    );
}
