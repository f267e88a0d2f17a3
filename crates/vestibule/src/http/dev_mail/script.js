
"use strict";
const EVERY_MS = 2000;
const newest = (page) => page.querySelector("article")?.dataset.id;

const writeTimes = () => {
    for (const time of document.querySelectorAll("time[data-at]")) {
        const at = new Date(Number(time.dataset.at));
        time.dateTime = at.toISOString();
        time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    }
};

document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
    } catch {
        // No clipboard without https: what was meant is selected, at least.
        getSelection().selectAllChildren(button.previousElementSibling);
        button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy the code"), 2000);
});

setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
        const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        if (!response.ok || newest(page) === newest(document)) return;
        document.querySelector("main").replaceWith(page.querySelector("main"));
        document.getElementById("news").textContent = "A message has arrived.";
        writeTimes();
    } catch {
        // The server is being restarted, as happens in development.
    }
}, EVERY_MS);

writeTimes();
