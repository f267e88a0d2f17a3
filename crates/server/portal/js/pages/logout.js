// Log out, by a button: a link of somebody else's must not do it.

import { call } from "../api.js";
import { describe } from "../failures.js";
import { h, replace } from "../dom.js";
import { t } from "../i18n.js";
import { button, entrance, link, message } from "../layout.js";
import { navigate } from "../router.js";
import { state } from "../state.js";

export const title = "logout.title";

export function render() {
    if (!state.session) {
        navigate("/account/login", { replace: true });
        return null;
    }
    const said = h("div", { class: "said", "aria-live": "polite" });
    const end = async () => {
        const answer = await call("DELETE", "auth/session");
        if (answer.status === 401 || answer.status === 410) navigate("/account/login", { replace: true, carry: { notice: t("logout.done") } });
        else replace(said, message(describe(answer), "bad"));
    };
    return entrance(
        t("logout.title"),
        { lead: t("logout.lead", { display: state.session.user.display }) },
        said,
        h("div", { class: "actions" }, button(t("action.log_out"), end, "primary"), link(t("action.cancel"), "/account", { class: "button" })),
    );
}
