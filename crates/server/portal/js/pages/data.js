// One's own data: taking along what is kept, and deleting the account. Each is there where settings.json says so.

import { call } from "../api.js";
import { gone, teller } from "../afterwards.js";
import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { checkbox, form } from "../form.js";
import { t } from "../i18n.js";
import { button, section, sheet } from "../layout.js";
import { notify } from "../notice.js";
import { navigate } from "../router.js";
import { state } from "../state.js";

export const title = "rooms.data";

export function render() {
    const { data } = state.settings;
    return sheet(t(title), {}, data.export && exportSection(), data.delete && deleteSection());
}

function exportSection() {
    const said = teller();
    const download = async () => {
        const answer = await call("GET", "account/export");
        if (!said.tell(answer)) return;
        save(answer.data);
        notify(t("data.export_done"));
    };
    return section(
        t("data.export"),
        { lead: t("data.export_lead") },
        said.element,
        h("div", { class: "actions" }, button(t("data.export_go"), download, "primary")),
    );
}

/** Has the browser keep it as a file. */
function save(data) {
    const file = new Blob([JSON.stringify(data, null, 2)], { type: "application/json" });
    const address = URL.createObjectURL(file);
    const anchor = h("a", { href: address, download: "account.json", hidden: true });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

function deleteSection() {
    const action = async () => {
        const sure = await confirm({ title: t("data.delete_title"), text: t("data.delete_text"), action: t("data.delete_go"), danger: true });
        if (!sure) return undefined;
        const answer = await call("DELETE", "account");
        if (answer.status === 401 && !answer.cancelled && !state.session) {
            return void navigate("/account/login", { replace: true, carry: { notice: t("data.deleted") } });
        }
        return gone(answer) ? undefined : answer;
    };
    return section(
        t("data.delete"),
        { lead: t("data.delete_lead") },
        form({
            label: t("data.delete"),
            fields: [checkbox({ name: "known", label: t("data.delete_known"), required: true })],
            submit: t("data.delete_go"),
            action,
            kind: "danger",
        }),
    );
}
