// The email addresses of the account: which there are, adding one, proving one, choosing the primary one, removing one.

import { call } from "../api.js";
import { gone, redraw, teller, unavailable } from "../afterwards.js";
import { confirm } from "../dialog.js";
import { field, form } from "../form.js";
import { t } from "../i18n.js";
import { section, sheet } from "../layout.js";
import { navigate } from "../router.js";
import { act, badge, row, rows } from "../rows.js";
import { state } from "../state.js";

export const title = "rooms.emails";

export async function render() {
    const answer = await call("GET", "account/email");
    if (!answer.ok) return unavailable(t(title), answer);
    const emails = answer.data;
    const said = teller();
    return sheet(
        t(title),
        { lead: t("emails.lead") },
        section(
            t("emails.yours"),
            {},
            said.element,
            emails.length > 0 ? rows(emails.map((email) => entry(email, emails, said))) : t("emails.none"),
        ),
        mayAdd(emails) && adding(emails),
    );
}

function entry({ email, primary, verified }, emails, said) {
    const choosable = !primary && (verified || !emails.some((other) => other.verified));
    return row({
        name: email,
        badges: [primary && badge(t("emails.primary"), "accent"), verified ? badge(t("emails.verified"), "good") : badge(t("emails.unverified"), "warn")],
        actions: [
            !verified && act(t("emails.verify"), () => verify(email, said), primary ? "primary" : "secondary"),
            choosable && act(t("emails.make_primary"), () => choose(email, said)),
            !primary && act(t("action.remove"), () => remove(email, said), "danger"),
        ],
    });
}

/** Whether one more address is taken, as far as the settings tell. */
function mayAdd(emails) {
    const { change, max } = state.settings.email;
    return change || !max || emails.length < max;
}

function adding(emails) {
    const style = state.settings.email.change && emails.length > 0 ? "change" : "add";
    const action = async ({ email }) => {
        const answer = await call("POST", "account/email", { email });
        if (!answer.ok) return gone(answer) ? undefined : answer;
        return void (await sent(email));
    };
    const address = field({ name: "email", label: t("field.email"), type: "email", autocomplete: "email", autocapitalize: "none", spellcheck: "false" });
    return section(t(`emails.${style}`), { lead: t(`emails.${style}_lead`) }, form({ fields: [address], submit: t(`emails.${style}_submit`), action }));
}

async function verify(email, said) {
    const answer = await call("PUT", "account/email", { email });
    if (answer.status === 403) said.say(t("emails.just_sent"), "info");
    else if (said.tell(answer)) await sent(email);
}

/** A code is asked for on a page of its own; a link is opened from the mail. */
async function sent(email) {
    if (state.config.account.email_verification_by_code_enabled) navigate("/account/verify-email", { carry: { email } });
    else await redraw(t("emails.sent", { email }));
}

async function choose(email, said) {
    const answer = await call("PATCH", "account/email", { email, primary: true });
    if (!said.tell(answer)) return;
    // Who one is has changed with it.
    await call("GET", "auth/session");
    await redraw(t("emails.chosen", { email }));
}

async function remove(email, said) {
    const sure = await confirm({ title: t("emails.remove_title"), text: t("emails.remove_text", { email }), action: t("action.remove"), danger: true });
    if (sure && said.tell(await call("DELETE", "account/email", { email }))) await redraw(t("emails.removed", { email }));
}
