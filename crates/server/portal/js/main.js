// The beginning: loads settings, texts, config and session, draws the shell, and has the router show the page.
// Seam: none. If any of it fails, the page says so and offers to try again.

import { call, onReauthentication } from "./api.js";
import { h, replace } from "./dom.js";
import { load } from "./i18n.js";
import { reauthenticate } from "./reauthenticate.js";
import { start } from "./router.js";
import { drawShell } from "./shell.js";
import { state } from "./state.js";

async function begin() {
    const response = await fetch("/_portal/settings.json");
    state.settings = await response.json();
    const [, config, session] = await Promise.all([load(state.settings.languages), call("GET", "config"), call("GET", "auth/session")]);
    if (!config.ok || ![200, 401, 410].includes(session.status)) throw new Error(`the API answered ${config.status} and ${session.status}`);
    state.config = config.data;
    onReauthentication(reauthenticate);
    drawShell();
    await start();
}

begin().catch((error) => {
    console.error(error);
    // No texts may have come, so that this is the one English sentence in the code.
    const again = h("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Try again");
    const card = h("section", { class: "card" }, h("h1", {}, "This did not work"), h("p", {}, "The server could not be reached."), again);
    replace(document.getElementById("main"), h("div", { class: "entrance" }, card));
});
