// What people call the device that a client ran on. Seam: device(userAgent) gives "Firefox on Linux" or the like.

import { t } from "./i18n.js";

/** Names by what gives them away. The order matters: most browsers claim to be others too. */
const BROWSERS = [
    [/\bEdgA?(iOS)?\//, "Edge"],
    [/\bOPR\//, "Opera"],
    [/\bSamsungBrowser\//, "Samsung Internet"],
    [/\b(Firefox|FxiOS)\//, "Firefox"],
    [/\b(Chrome|Chromium|CriOS|HeadlessChrome)\//, "Chrome"],
    [/\bVersion\/.*\bSafari\//, "Safari"],
];

const SYSTEMS = [
    [/\bWindows\b/, "Windows"],
    [/\biPhone\b/, "iPhone"],
    [/\biPad\b/, "iPad"],
    [/\bAndroid\b/, "Android"],
    [/\bCrOS\b/, "ChromeOS"],
    [/\bMac OS X\b/, "macOS"],
    [/\bLinux\b/, "Linux"],
];

const LONGEST = 80;

/** The device in words; what the client called itself if that says nothing. */
export function device(userAgent) {
    const browser = find(BROWSERS, userAgent);
    const system = find(SYSTEMS, userAgent);
    if (browser && system) return t("device.both", { browser, system });
    return browser ?? system ?? (userAgent.slice(0, LONGEST) || t("device.unknown"));
}

function find(names, userAgent) {
    return names.find(([sign]) => sign.test(userAgent))?.[1];
}
