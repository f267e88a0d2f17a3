// The authenticator app (TOTP): setting it up by QR code or by hand, and taking it away.

import { call } from "../api.js";
import { gone, teller } from "../afterwards.js";
import { copyButton } from "../copy.js";
import { confirm, open } from "../dialog.js";
import { h } from "../dom.js";
import { codeField, form } from "../form.js";
import { day, t } from "../i18n.js";
import { button, section } from "../layout.js";
import { qr } from "../qr.js";
import { act, badge, row, rows } from "../rows.js";
import { freshCodes } from "./made.js";
import { used } from "./used.js";

const PATH = "account/authenticators/totp";

export function appSection({ authenticators, changed }) {
    const app = authenticators.find((entry) => entry.type === "totp");
    const said = teller();
    const remove = async () => {
        const last = authenticators.every((entry) => ["totp", "recovery_codes"].includes(entry.type));
        const text = t(last ? "app.remove_text_last" : "app.remove_text");
        const sure = await confirm({ title: t("app.remove_title"), text, action: t("action.remove"), danger: true });
        if (sure && said.tell(await call("DELETE", PATH))) await changed("app", { done: t("app.removed") });
    };
    const add = async () => {
        const offer = await call("GET", PATH);
        if (!offer.meta.secret) {
            said.tell(offer);
            return;
        }
        if (await setUp(offer.meta)) await changed("app", { done: t("app.added"), codes: await freshCodes(authenticators) });
    };
    return section(
        t("app.title"),
        { lead: t("app.lead") },
        said.element,
        app
            ? rows(
                  row({
                      name: t("app.name"),
                      badges: [badge(t("security.on"), "good")],
                      details: [t("security.added", { when: day(app.created_at) }), used(app)],
                      actions: [act(t("action.remove"), remove, "danger")],
                  }),
              )
            : h("div", { class: "actions" }, button(t("app.add"), add, "primary")),
    );
}

/** The dialog: scan, then type a code. Gives true once the app is set up. */
function setUp({ secret, totp_url: url }) {
    return open(t("app.add"), (close) => {
        const action = async (values) => {
            const answer = await call("POST", PATH, values);
            if (answer.ok) return void close(true);
            if (answer.cancelled) return undefined;
            if (gone(answer)) return void close(false);
            return answer;
        };
        return [
            h("p", {}, t("app.scan")),
            qr(url, t("app.qr")),
            h("p", {}, t("app.by_hand")),
            h("p", { class: "secret" }, h("code", {}, spaced(secret)), copyButton(secret)),
            form({
                fields: [codeField({ label: t("app.code"), numeric: true })],
                submit: t("app.turn_on"),
                action,
                second: button(t("action.cancel"), () => close(false)),
            }),
        ];
    });
}

/** In groups of four, to be typed without getting lost. */
function spaced(secret) {
    return secret.replace(/(.{4})(?=.)/g, "$1 ");
}
