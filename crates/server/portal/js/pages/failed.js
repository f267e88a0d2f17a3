// A page that could not be loaded.

import { t } from "../i18n.js";
import { button, entrance } from "../layout.js";

export const title = "failed.title";

export function render() {
    return entrance(t("failed.title"), { lead: t("failure.network") }, button(t("action.try_again"), () => location.reload(), "primary"));
}
