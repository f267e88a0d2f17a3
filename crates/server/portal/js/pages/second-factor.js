// The second factor of a login: a code of an app, a recovery code, or a key.

import { call } from "../api.js";
import { h, replace } from "../dom.js";
import { describe } from "../failures.js";
import { codeField, form } from "../form.js";
import { t } from "../i18n.js";
import { button, entrance, message, or } from "../layout.js";
import { proceed } from "../router.js";
import { flow } from "../state.js";
import { abandonButton, lost } from "../waiting.js";
import { get, isSupported } from "../webauthn.js";

export const title = "second_factor.title";

export function render() {
    const types = flow("mfa_authenticate").types ?? [];
    const code = types.includes("totp") || types.includes("recovery_codes");
    const key = types.includes("webauthn") && isSupported();
    return entrance(
        t("second_factor.title"),
        { lead: t("second_factor.lead") },
        !code && !key && message(t("second_factor.none"), "bad"),
        key && byKey(),
        key && code && or(),
        code && byCode(types),
        abandonButton(),
    );
}

function byCode(types) {
    const key = types.includes("totp") ? (types.includes("recovery_codes") ? "code" : "totp_code") : "recovery_code";
    const label = t(`second_factor.${key}`);
    const action = async (values) => {
        const answer = await call("POST", "auth/2fa/authenticate", values);
        if (await lost(answer)) return undefined;
        return proceed(answer) ? undefined : answer;
    };
    return form({ label, fields: [codeField({ label, numeric: true })], submit: t("action.continue"), action });
}

function byKey() {
    const said = h("div", { class: "said", "aria-live": "polite" });
    const prove = async () => {
        replace(said);
        const options = await call("GET", "auth/webauthn/authenticate");
        if (await lost(options)) return;
        const credential = options.ok && (await get(options.data));
        if (options.ok && !credential) return void replace(said, message(t("passkey.cancelled")));
        const answer = options.ok ? await call("POST", "auth/webauthn/authenticate", { credential }) : options;
        if (!proceed(answer)) replace(said, message(answer.errors[0]?.message ?? describe(answer), "bad"));
    };
    return h("div", { class: "stack tight" }, button(t("passkey.use"), prove, "primary"), said);
}
