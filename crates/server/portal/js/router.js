// Shows the page of the address. Seam: navigate(path, { replace, carry }), proceed(answer), leave(), refresh(). A page
// exports `title` (a key) and render({ params, query, signal, carry }): its content, or null if it has gone elsewhere.

import { replace as put } from "./dom.js";
import { pageOf, pendingFlow } from "./flows.js";
import { t } from "./i18n.js";
import { asked, wanted } from "./next.js";
import { match } from "./routes.js";
import { drawRooms } from "./shell.js";
import { isPending, state } from "./state.js";

/** Ends with the page that is shown. */
let shown = null;
/** Its address, without what a jump within it adds. */
let address = null;

/** Shows the page of the address now, and of each that people go to. */
export async function start() {
    window.addEventListener("popstate", () => {
        if (here() !== address) show();
    });
    document.addEventListener("click", follow);
    await show({ first: true });
}

/** Goes to a page of the portal, or to any other place. `?next=` goes along; `carry` is handed to the page. */
export function navigate(path, { replace = false, carry = null } = {}) {
    const url = new URL(path, location.href);
    if (url.origin !== location.origin || !match(url.pathname)) {
        if (replace) location.replace(url.href);
        else location.assign(url.href);
        return null;
    }
    const next = asked();
    if (next && !url.searchParams.has("next") && !match(url.pathname).route.rooms) url.searchParams.set("next", next);
    history[replace ? "replaceState" : "pushState"](carry, "", url.href);
    return show();
}

/** Goes where people wanted to, now that they are through. */
export function leave() {
    return navigate(wanted(), { replace: true });
}

/** Goes on to where an answer leads: 200 to where people wanted to, 401 to the step that is pending, or to the login. Gives
 * whether it led anywhere; if not, the caller shows what went wrong. The step's page is handed `carry`. */
export function proceed(answer, carry = null) {
    if (answer.cancelled) return true;
    if (answer.status === 200 && answer.meta.is_authenticated) {
        leave();
        return true;
    }
    if (answer.status !== 401 && answer.status !== 410) return false;
    const pending = pendingFlow(answer.flows);
    navigate(pending ? pageOf(pending) : login(), { carry });
    return true;
}

/** The login, and from there back to the page of the account that is shown now. */
function login() {
    const within = match(location.pathname)?.route.access === "user" && here() !== "/account";
    return within ? `/account/login?next=${encodeURIComponent(here())}` : "/account/login";
}

/** Draws the page once more. */
export function refresh() {
    return show({ keep: true });
}

/** Takes a secret out of the address bar and the history. */
export function conceal(path) {
    history.replaceState(history.state, "", path + location.search);
    address = here();
}

async function show({ first = false, keep = false } = {}) {
    const found = match(location.pathname);
    const turned = found && guard(found.route);
    if (turned) return navigate(turned, { replace: true });
    address = here();
    shown?.abort();
    const controller = new AbortController();
    shown = controller;
    const main = document.getElementById("main");
    // Screen readers wait for what is to come.
    main.setAttribute("aria-busy", "true");
    const given = {
        params: found?.params ?? {},
        query: new URLSearchParams(location.search),
        signal: controller.signal,
        carry: history.state,
    };
    const { title, view } = await draw(found?.route.page ?? "missing", given);
    if (controller.signal.aborted || view === null) return;
    drawRooms(found?.route);
    put(main, view);
    main.removeAttribute("aria-busy");
    document.title = `${t(title)} · ${state.settings.name}`;
    if (keep) return;
    window.scrollTo(0, 0);
    const heading = main.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    if (!first) heading?.focus({ preventScroll: true });
}

/** Where else those have to go for whom this page is not; null if it is for them. */
function guard(route) {
    if (route.access === "guest" && state.session) return wanted();
    if (route.flow && !isPending(route.flow)) return "/account/login";
    if (route.access !== "user" || state.session) return null;
    const pending = pendingFlow(state.flows);
    if (pending) return pageOf(pending);
    return login();
}

/** A page's content and title; those of a page that says so where it fails. */
async function draw(page, given) {
    try {
        const module = await import(`./pages/${page}.js`);
        return { title: module.title, view: given.signal.aborted ? null : await module.render(given) };
    } catch (error) {
        console.error(error);
        const failed = await import("./pages/failed.js");
        return { title: failed.title, view: failed.render() };
    }
}

function here() {
    return location.pathname + location.search;
}

/** Links within the portal need no new document. */
function follow(event) {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || !match(url.pathname)) return;
    if (url.hash && url.pathname === location.pathname) return;
    event.preventDefault();
    navigate(url.href);
}
