// The link of a mail: shows which address it proves, and proves it once people say so. Programs that open links in mails
// prove nothing by that.

import { call } from "../api.js";
import { h } from "../dom.js";
import { form } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message } from "../layout.js";
import { notify } from "../notice.js";
import { pendingFlow } from "../flows.js";
import { conceal, navigate, proceed } from "../router.js";
import { state } from "../state.js";

export const title = "verify_email.title";

export async function render({ params: { key } }) {
    conceal("/account/verify-email");
    const known = await call("GET", "auth/email/verify", undefined, { headers: { "X-Email-Verification-Key": key } });
    if (!known.ok) return broken();
    const action = async () => {
        const answer = await call("POST", "auth/email/verify", { key });
        if (!answer.ok && answer.status !== 401) return answer;
        if (answer.ok || pendingFlow(answer.flows)) {
            notify(t("verify_email.done"));
            proceed(answer);
        } else navigate("/account/login", { replace: true, carry: { notice: t("verify_email.done_log_in") } });
        return undefined;
    };
    return entrance(
        t("verify_email.title"),
        { lead: t("verify_email.key_lead", { display: known.data.user.display }) },
        h("p", { class: "fact" }, known.data.email),
        form({ fields: [], submit: t("verify_email.confirm"), action }),
    );
}

function broken() {
    const [to, label] = state.session ? ["/account/emails", "action.to_account"] : ["/account/login", "action.to_login"];
    return entrance(t("verify_email.title"), {}, message(t("verify_email.broken"), "bad"), link(t(label), to, { class: "button primary" }));
}
