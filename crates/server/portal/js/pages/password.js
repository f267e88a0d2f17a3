// Changing the password, or setting the first one of an account that has none.

import { call } from "../api.js";
import { gone, redraw } from "../afterwards.js";
import { h } from "../dom.js";
import { form, passwordField, usernameNote } from "../form.js";
import { t } from "../i18n.js";
import { link, section, sheet } from "../layout.js";
import { navigate } from "../router.js";
import { state } from "../state.js";

export const title = "rooms.password";

export function render() {
    const { user } = state.session;
    const has = user.has_usable_password;
    const style = has ? "change" : "set";
    const fields = [
        usernameNote(user),
        has && passwordField({ name: "current_password", label: t("password.current"), autocomplete: "current-password" }),
        passwordField({ name: "new_password", label: t("password.new"), autocomplete: "new-password", hint: t("password.hint") }),
    ].filter(Boolean);
    const action = async (values) => {
        const answer = await call("POST", "account/password/change", values);
        if (answer.ok) return void (await redraw(t(`password.${style}_done`)));
        if (answer.status === 401 && !answer.cancelled && !state.session) {
            return void navigate("/account/login", { replace: true, carry: { notice: t("password.log_in_again") } });
        }
        return gone(answer) ? undefined : answer;
    };
    return sheet(
        t(title),
        {},
        section(
            t(`password.${style}`),
            { lead: t(`password.${style}_lead`) },
            form({ fields, submit: t(`password.${style}_submit`), action }),
            has && h("p", { class: "small" }, link(t("login.forgotten"), "/account/password/reset")),
        ),
    );
}
