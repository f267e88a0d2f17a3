// An email address is to be proved: by the code that was sent to it, or by the link.

import { call } from "../api.js";
import { open } from "../dialog.js";
import { h } from "../dom.js";
import { codeField, field, form } from "../form.js";
import { t } from "../i18n.js";
import { button, entrance, link, message } from "../layout.js";
import { notify } from "../notice.js";
import { leave, navigate, proceed, refresh } from "../router.js";
import { isPending, state } from "../state.js";
import { abandonButton, lost, resendButton } from "../waiting.js";

export const title = "verify_email.title";

export function render({ signal, carry }) {
    const pending = isPending("verify_email");
    if (!pending && !state.session) {
        navigate("/account/login", { replace: true });
        return null;
    }
    return state.config.account.email_verification_by_code_enabled ? byCode(pending, carry) : byLink(pending, signal, carry);
}

function lead(key, carry) {
    return carry?.email ? t(`${key}_to`, { email: carry.email }) : t(key);
}

function byCode(pending, carry) {
    const action = async ({ code }) => {
        const answer = await call("POST", "auth/email/verify", { key: code });
        if (pending && (await lost(answer))) return undefined;
        if (!pending && answer.ok) return void done();
        return proceed(answer) ? undefined : answer;
    };
    const code = codeField();
    code.takes = ["key"];
    return entrance(
        t("verify_email.title"),
        { lead: lead("verify_email.code_lead", carry) },
        form({ fields: [code], submit: t("action.confirm"), action }),
        resendButton("auth/email/verify/resend", state.settings.resend.email),
        pending && state.settings.change.email && button(t("verify_email.change"), change, "quiet"),
        pending ? abandonButton() : link(t("action.back"), "/account/emails", { class: "button quiet" }),
    );
}

function done() {
    notify(t("verify_email.done"));
    navigate("/account/emails", { replace: true });
}

function byLink(pending, signal, carry) {
    // The link may be opened in another tab, which logs in here too.
    const look = async () => {
        if (document.visibilityState !== "visible") return;
        await call("GET", "auth/session");
        if (!signal.aborted && pending && state.session) leave();
    };
    document.addEventListener("visibilitychange", look, { signal });
    const next = async () => {
        const answer = await call("GET", "auth/session");
        if (state.session) leave();
        else if (!isPending("verify_email")) proceed(answer);
        else notify(t("verify_email.not_yet"));
    };
    return entrance(
        t("verify_email.title"),
        { lead: lead("verify_email.link_lead", carry) },
        message(t("verify_email.link_hint")),
        pending && button(t("verify_email.opened"), next, "primary"),
        pending ? abandonButton() : link(t("action.back"), "/account/emails", { class: "button quiet" }),
    );
}

async function change() {
    const email = await open(t("verify_email.change"), (close) => {
        const action = async (values) => {
            const answer = await call("POST", "account/email", values);
            if (!answer.ok) return answer;
            return void close(values.email);
        };
        return [
            form({ fields: [field({ name: "email", label: t("field.email"), type: "email", autocomplete: "email" })], submit: t("verify_email.send"), action }),
            h("div", { class: "actions" }, button(t("action.cancel"), () => close(), "quiet")),
        ];
    });
    if (!email) return;
    notify(t("verify_email.changed", { email }));
    history.replaceState({ email }, "");
    refresh();
}
