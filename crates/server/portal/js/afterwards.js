// What becomes of an answer on a page of the account. Seam: teller() tells what went wrong with a button; gone(answer) says
// that there is nothing to tell here; unavailable(title, answer) stands for a page without data; redraw(say) draws it anew.

import { h, replace } from "./dom.js";
import { describe } from "./failures.js";
import { t } from "./i18n.js";
import { button, message, sheet } from "./layout.js";
import { notify } from "./notice.js";
import { proceed, refresh } from "./router.js";

/** A place where a page says what went wrong. `tell(answer)` gives whether all went well. */
export function teller() {
    const element = h("div", { class: "said", "aria-live": "polite" });
    return {
        element,
        tell(answer) {
            replace(element);
            if (answer.ok) return true;
            if (!gone(answer)) this.say(answer.errors[0]?.message ?? describe(answer));
            return false;
        },
        clear() {
            replace(element);
        },
        say(text, kind = "bad") {
            replace(element, message(text, kind));
            element.scrollIntoView({ block: "nearest" });
        },
    };
}

/** Whether people have turned back, or are logged out and on their way to the login: then a page says nothing. */
export function gone(answer) {
    return answer.cancelled || ([401, 410].includes(answer.status) && proceed(answer));
}

/** What stands for a page whose data could not be had. */
export function unavailable(title, answer) {
    if (gone(answer)) return null;
    return sheet(title, {}, message(describe(answer), "bad"), h("div", { class: "actions" }, button(t("action.try_again"), refresh)));
}

/** Draws the page with what is true now, says what was done, and puts the focus on its heading. */
export async function redraw(done) {
    await refresh();
    focusOn(document.querySelector("#main h1"));
    if (done) notify(done);
}

/** Puts the focus on a heading, as what had it is not there any more. */
export function focusOn(heading) {
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
}
