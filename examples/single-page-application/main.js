// Shows what comes next. The API says it: an answer of 401 names the flows, and marks the one that waits.
import { call } from "./api.js";

const sections = [...document.querySelectorAll("form, section")];
const problem = document.querySelector("#problem");

function show(id) {
  for (const section of sections) section.hidden = section.id !== id;
  document.querySelector(`#${id} input`)?.focus();
}

function follow(answer) {
  const { status, data, errors } = answer;
  problem.textContent = errors?.map((error) => error.message).join(" ") ?? "";
  if (errors) return;
  const pending = data?.flows?.find((flow) => flow.is_pending)?.id;
  if (status === 200 && data?.user) {
    document.querySelector("#who").textContent = data.user.display;
    arrive("account");
  } else if (pending) {
    arrive(pending);
  } else if ([401, 409, 410].includes(status)) {
    // Nobody is logged in, or what was begun is over.
    show(["#signup", "#password_request"].includes(location.hash) ? location.hash.slice(1) : "login");
  } else {
    problem.textContent = status === 429 ? "Too many tries. Wait a while." : `The server answers ${status}.`;
  }
}

/** Shows something that nobody can ask for: the address says no more what was asked for before. */
function arrive(id) {
  history.replaceState(null, "", location.pathname);
  if (sections.some((section) => section.id === id)) show(id);
  else problem.textContent = `This page does not know the step ${id}.`;
}

async function go(method, path, body) {
  try {
    follow(await call(method, path, body));
  } catch (error) {
    problem.textContent = `That did not work: ${error.message}`;
  }
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go("POST", form.dataset.path, Object.fromEntries(new FormData(form)));
    for (const input of form.querySelectorAll("[type=password], [autocomplete=one-time-code]")) input.value = "";
  });
}
document.querySelector("#logout").addEventListener("click", () => go("DELETE", "auth/session"));
addEventListener("hashchange", () => go("GET", "auth/session"));

go("GET", "auth/session");
