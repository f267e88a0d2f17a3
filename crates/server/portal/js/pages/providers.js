// Accounts at third parties that open this one: which are connected, connecting one more, disconnecting one.

import { call } from "../api.js";
import { redraw, teller, unavailable } from "../afterwards.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { section, sheet } from "../layout.js";
import { providerButtons } from "../providers.js";
import { act, row, rows } from "../rows.js";

export const title = "rooms.providers";

export async function render() {
    const answer = await call("GET", "account/providers");
    if (!answer.ok) return unavailable(t(title), answer);
    const said = teller();
    const buttons = providerButtons("connect", { next: "/account/providers", label: "providers.connect" });
    return sheet(
        t(title),
        { lead: t("providers.lead") },
        section(
            t("providers.yours"),
            {},
            said.element,
            answer.data.length > 0 ? rows(answer.data.map((account) => entry(account, said))) : h("p", { class: "lead" }, t("providers.none")),
        ),
        buttons && section(t("providers.more"), { lead: t("providers.more_lead") }, buttons),
    );
}

function entry({ provider, uid, display }, said) {
    const disconnect = async () => {
        const sure = await confirm({
            title: t("providers.disconnect_title", { provider: provider.name }),
            text: t("providers.disconnect_text", { provider: provider.name, display }),
            action: t("providers.disconnect"),
            danger: true,
        });
        if (!sure) return;
        const answer = await call("DELETE", "account/providers", { provider: provider.id, account: uid });
        if (said.tell(answer)) await redraw(t("providers.disconnected", { provider: provider.name }));
    };
    return row({ name: provider.name, details: [display], actions: [act(t("providers.disconnect"), disconnect, "danger")] });
}
