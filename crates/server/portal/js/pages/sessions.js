// Where somebody is logged in, and ending that.

import { call } from "../api.js";
import { redraw, teller, unavailable } from "../afterwards.js";
import { device } from "../device.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { t, time } from "../i18n.js";
import { button, link, section, sheet } from "../layout.js";
import { act, badge, row, rows } from "../rows.js";

export const title = "rooms.sessions";

export async function render() {
    const answer = await call("GET", "auth/sessions");
    if (!answer.ok) return unavailable(t(title), answer);
    const said = teller();
    const current = answer.data.filter((session) => session.is_current);
    const others = answer.data.filter((session) => !session.is_current).reverse();
    return sheet(
        t(title),
        { lead: t("sessions.lead") },
        section(t("sessions.here"), {}, rows(current.map((session) => entry(session)))),
        section(
            t("sessions.others"),
            {},
            said.element,
            others.length > 0 ? rows(others.map((session) => entry(session, said))) : h("p", { class: "lead" }, t("sessions.none")),
            others.length > 1 && h("div", { class: "actions" }, button(t("sessions.end_all"), () => endAll(others, said), "danger")),
        ),
    );
}

function entry(session, said) {
    const name = device(session.user_agent);
    const end = async () => {
        const sure = await confirm({ title: t("sessions.end_title"), text: t("sessions.end_text", { device: name }), action: t("sessions.end"), danger: true });
        if (sure) await finish([session], said, t("sessions.ended"));
    };
    return row({
        name,
        badges: session.is_current ? [badge(t("sessions.current"), "good")] : [],
        details: [
            t("sessions.since", { ip: session.ip, when: time(session.created_at) }),
            session.last_seen_at && t("sessions.seen", { when: time(session.last_seen_at) }),
        ],
        actions: [session.is_current ? () => link(t("action.log_out"), "/account/logout", { class: "button" }) : act(t("sessions.end"), end, "danger")],
    });
}

async function endAll(others, said) {
    const text = t("sessions.end_all_text", { count: others.length });
    const sure = await confirm({ title: t("sessions.end_all_title"), text, action: t("sessions.end_all"), danger: true });
    if (sure) await finish(others, said, t("sessions.ended_all"));
}

async function finish(sessions, said, done) {
    const answer = await call("DELETE", "auth/sessions", { sessions: sessions.map((session) => session.id) });
    if (said.tell(answer)) await redraw(done);
}
