// A new password, by the link of a mail.

import { call } from "../api.js";
import { form, passwordField, usernameNote } from "../form.js";
import { t } from "../i18n.js";
import { entrance, link, message } from "../layout.js";
import { conceal } from "../router.js";
import { replaced } from "../resetting.js";

export const title = "reset.new_title";

export async function render({ params: { key } }) {
    conceal("/account/password/reset");
    const known = await call("GET", "auth/password/reset", undefined, { headers: { "X-Password-Reset-Key": key } });
    if (!known.ok) return broken();
    const { user } = known.data;
    const password = passwordField({ label: t("field.new_password"), autocomplete: "new-password" });
    const action = async (values) => {
        const answer = await call("POST", "auth/password/reset", { key, ...values });
        return replaced(answer) ? undefined : answer;
    };
    return entrance(
        t("reset.new_title"),
        { lead: t("reset.key_lead", { display: user.display }) },
        form({ fields: [usernameNote(user), password], submit: t("reset.submit"), action }),
    );
}

function broken() {
    return entrance(
        t("reset.new_title"),
        {},
        message(t("reset.broken"), "bad"),
        link(t("reset.again"), "/account/password/reset", { class: "button primary" }),
    );
}
