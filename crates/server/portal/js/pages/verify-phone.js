// A phone number is to be proved, by the code that was texted to it: in a login or signup, or when it was changed.

import { call } from "../api.js";
import { open } from "../dialog.js";
import { h } from "../dom.js";
import { codeField, field, form } from "../form.js";
import { t } from "../i18n.js";
import { button, entrance, link } from "../layout.js";
import { notify } from "../notice.js";
import { navigate, proceed, refresh } from "../router.js";
import { isPending, state } from "../state.js";
import { abandonButton, lost, resendButton } from "../waiting.js";

export const title = "verify_phone.title";

export function render({ carry }) {
    const pending = isPending("verify_phone");
    if (!pending && !state.session) {
        navigate("/account/login", { replace: true });
        return null;
    }
    const action = async (values) => {
        const answer = await call("POST", "auth/phone/verify", values);
        if (pending && (await lost(answer))) return undefined;
        if (!pending && answer.ok) {
            notify(t("verify_phone.done"));
            return void navigate("/account/phone", { replace: true });
        }
        return proceed(answer) ? undefined : answer;
    };
    return entrance(
        t("verify_phone.title"),
        { lead: carry?.phone ? t("verify_phone.lead_to", { phone: carry.phone }) : t("verify_phone.lead") },
        form({ fields: [codeField()], submit: t("action.confirm"), action }),
        // A change of somebody who is logged in is asked for anew instead.
        pending
            ? resendButton("auth/phone/verify/resend", state.settings.resend.phone)
            : resendButton("account/phone", Boolean(carry?.phone), { phone: carry?.phone }),
        pending && state.settings.change.phone && button(t("verify_phone.change"), change, "quiet"),
        pending ? abandonButton() : link(t("action.back"), "/account/phone", { class: "button quiet" }),
    );
}

async function change() {
    const phone = await open(t("verify_phone.change"), (close) => {
        const action = async (values) => {
            const answer = await call("POST", "account/phone", values);
            if (!answer.ok) return answer;
            return void close(values.phone);
        };
        const number = field({ name: "phone", label: t("field.phone"), type: "tel", autocomplete: "tel", hint: t("field.phone_hint") });
        return [
            form({ fields: [number], submit: t("login_code.send"), action }),
            h("div", { class: "actions" }, button(t("action.cancel"), () => close(), "quiet")),
        ];
    });
    if (!phone) return;
    notify(t("verify_phone.changed", { phone }));
    history.replaceState({ phone }, "");
    refresh();
}
