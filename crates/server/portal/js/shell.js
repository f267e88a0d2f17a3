// What surrounds every page: name, logo, who is logged in, navigation, links. Seam: drawShell() once, drawRooms(route) at
// each page. The rooms of the account are listed in ROOMS; each is shown only where config has a use for it.

import { h, replace } from "./dom.js";
import { t } from "./i18n.js";
import { link } from "./layout.js";
import { onChange, state } from "./state.js";

const ROOMS = [
    { path: "/account", key: "rooms.overview", shown: () => true },
    { path: "/account/emails", key: "rooms.emails", shown: () => true },
    { path: "/account/phone", key: "rooms.phone", shown: usesPhone },
    { path: "/account/password", key: "rooms.password", shown: () => true },
    { path: "/account/providers", key: "rooms.providers", shown: hasProviders },
    { path: "/account/security", key: "rooms.security", shown: () => state.config.mfa?.supported_types.length > 0 },
    { path: "/account/sessions", key: "rooms.sessions", shown: () => Boolean(state.config.usersessions) },
    { path: "/account/data", key: "rooms.data", shown: () => state.settings.data.export || state.settings.data.delete },
];

/** Draws head and foot, and keeps them true. */
export function drawShell() {
    const { settings } = state;
    document.getElementById("skip").textContent = t("shell.skip");
    document.getElementById("rooms").setAttribute("aria-label", t("shell.rooms"));
    if (settings.logo) {
        const mark = document.getElementById("mark");
        mark.className = "logo";
        replace(mark, h("img", { src: settings.logo, alt: "" }));
    }
    const links = settings.links.map((entry) => link(entry.label, entry.url));
    if (settings.mailbox) links.push(link(t("shell.mailbox"), settings.mailbox, { target: "_blank" }));
    if (settings.specification) links.push(link(t("shell.specification"), settings.specification));
    replace(document.getElementById("foot"), links.length > 0 && h("ul", {}, links.map((link) => h("li", {}, link))));
    drawWho();
    onChange(drawWho);
}

/** Draws the navigation of the account, where a page has it. */
export function drawRooms(route) {
    const bar = document.getElementById("rooms");
    bar.hidden = !route?.rooms;
    document.getElementById("frame").classList.toggle("with-rooms", Boolean(route?.rooms));
    if (bar.hidden) return;
    const entry = ({ path, key }) => h("li", {}, link(t(key), path, { "aria-current": path === route.path && "page" }));
    replace(bar, h("ul", {}, rooms().map(entry)));
    bar.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

/** The rooms that there is a use for. */
export function rooms() {
    return ROOMS.filter((room) => room.shown());
}

/** Whether accounts have phone numbers. */
export function usesPhone() {
    const asked = state.settings.signup_fields.some((field) => field.name === "phone");
    return asked || state.config.account.login_methods.includes("phone");
}

/** Whether there are third parties to log in with. */
export function hasProviders() {
    return (state.config.socialaccount?.providers ?? []).length > 0;
}

function drawWho() {
    const user = state.session?.user;
    const who = document.getElementById("who");
    replace(who, user && [h("span", { class: "display" }, user.display), link(t("action.log_out"), "/account/logout", { class: "button quiet" })]);
}
