// The phone number of the account. A new one counts once the code that is texted to it was typed, at /account/verify-phone.

import { call } from "../api.js";
import { gone, unavailable } from "../afterwards.js";
import { field, form } from "../form.js";
import { t } from "../i18n.js";
import { section, sheet } from "../layout.js";
import { navigate } from "../router.js";
import { badge, row, rows } from "../rows.js";

export const title = "rooms.phone";

export async function render() {
    const answer = await call("GET", "account/phone");
    if (!answer.ok) return unavailable(t(title), answer);
    const numbers = answer.data;
    const style = numbers.length > 0 ? "change" : "add";
    const action = async ({ phone }) => {
        const answer = await call("POST", "account/phone", { phone });
        if (!answer.ok) return gone(answer) ? undefined : answer;
        return void navigate("/account/verify-phone", { carry: { phone } });
    };
    const number = field({ name: "phone", label: t("field.phone"), type: "tel", autocomplete: "tel", hint: t("field.phone_hint") });
    return sheet(
        t(title),
        { lead: t("phone.lead") },
        numbers.length > 0 && section(t("phone.yours"), {}, rows(numbers.map(entry))),
        section(t(`phone.${style}`), { lead: t(`phone.${style}_lead`) }, form({ fields: [number], submit: t("phone.send"), action })),
    );
}

function entry({ phone, verified }) {
    return row({ name: phone, badges: [verified ? badge(t("phone.verified"), "good") : badge(t("phone.unverified"), "warn")] });
}
