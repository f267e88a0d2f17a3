// No page has this address.

import { t } from "../i18n.js";
import { entrance, link } from "../layout.js";

export const title = "missing.title";

export function render() {
    return entrance(t("missing.title"), { lead: t("missing.lead") }, link(t("action.to_account"), "/account", { class: "button primary" }));
}
