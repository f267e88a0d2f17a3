// What both ways of setting a new password end in. Seam: replaced(answer) goes on where a password was replaced, and
// gives whether it was.

import { pendingFlow } from "./flows.js";
import { t } from "./i18n.js";
import { notify } from "./notice.js";
import { navigate, proceed } from "./router.js";

/** 200 if that has logged in as well, 401 if a login or another step comes next. */
export function replaced(answer) {
    if (!answer.ok && answer.status !== 401) return false;
    if (answer.ok || pendingFlow(answer.flows)) {
        notify(t("reset.done"));
        proceed(answer);
    } else {
        navigate("/account/login", { replace: true, carry: { notice: t("reset.done_log_in") } });
    }
    return true;
}
