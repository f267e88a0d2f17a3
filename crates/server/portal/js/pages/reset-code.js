// A new password, by the code that was mailed.

import { call } from "../api.js";
import { codeField, form, passwordField } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, ways } from "../layout.js";
import { navigate } from "../router.js";
import { isPending } from "../state.js";
import { replaced } from "../resetting.js";

export const title = "reset.new_title";

export function render({ carry }) {
    if (!isPending("password_reset_by_code")) {
        navigate("/account/password/reset", { replace: true });
        return null;
    }
    const code = codeField();
    code.takes = ["key"];
    const action = async ({ code, password }) => {
        const answer = await call("POST", "auth/password/reset", { key: code, password });
        if (answer.status === 409) {
            return void navigate("/account/password/reset", { replace: true, carry: { notice: t("waiting.over") } });
        }
        return replaced(answer) ? undefined : answer;
    };
    return entrance(
        t("reset.new_title"),
        { lead: carry?.email ? t("reset.code_lead_to", { email: carry.email }) : t("reset.code_lead") },
        form({
            fields: [code, passwordField({ label: t("field.new_password"), autocomplete: "new-password" })],
            submit: t("reset.submit"),
            action,
        }),
        ways(link(t("reset.again"), "/account/password/reset")),
    );
}
