// What an application does with its tokens: sign up, bring the access token along, and exchange the refresh token when
// that is refused. Needs no package.
//
//     BASE=https://auth.example.org BACKEND=http://localhost:9000/ node client.mjs

const BASE = process.env.BASE ?? "http://localhost:8000";
const API = `${BASE}/_allauth/app/v1`;

/** Somebody has to log in again. */
class LoginNeeded extends Error {}

class Session {
  #tokens;
  #keep;
  #refreshing;

  /** `keep` stores the tokens where they outlive the application: the keychain, the keystore. */
  constructor(keep) {
    this.#keep = keep;
  }

  /** Calls the API. Whoever becomes authenticated by it, or changes the password, gets tokens in `meta`. */
  async call(method, path, body) {
    const response = await this.fetch(`${API}/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (response.status === 410) throw new LoginNeeded("the session is over");
    if (answer.meta?.access_token) await this.#take(answer.meta);
    return answer;
  }

  /** Like `fetch`, with the access token; once more with the next one if that was refused. */
  async fetch(url, init = {}) {
    const sent = this.#tokens?.access_token;
    const response = await this.#send(url, init);
    if (response.status !== 401 || !sent) return response;
    // Another request may have got the next one meanwhile.
    if (sent === this.#tokens.access_token) await this.refresh();
    return this.#send(url, init);
  }

  /** Gets the next pair: once, however many requests need it. A refresh token that is sent twice ends the session. */
  refresh() {
    this.#refreshing ??= this.#exchange().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /** Logs out. The API answers that with 401, as nobody is logged in any more, and a refresh would then be refused. */
  async logout() {
    await this.call("DELETE", "auth/session").catch((error) => {
      if (!(error instanceof LoginNeeded)) throw error;
    });
  }

  #send(url, { headers, ...init }) {
    const token = this.#tokens?.access_token;
    return fetch(url, { ...init, headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) } });
  }

  async #exchange() {
    const response = await fetch(`${API}/tokens/refresh`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refresh_token: this.#tokens.refresh_token }),
    });
    if (response.status === 400) throw new LoginNeeded("the session is over");
    if (!response.ok) throw new Error(`refresh: ${response.status}`);
    await this.#take((await response.json()).data);
  }

  // The old refresh token is used up: its successor is stored before anything else happens.
  async #take({ access_token, refresh_token }) {
    const tokens = { access_token, refresh_token: refresh_token ?? this.#tokens.refresh_token };
    await this.#keep(tokens);
    this.#tokens = tokens;
  }
}

// An example of its use: a new account, five requests after the access token has expired, and the end.

const kept = [];
const session = new Session(async (tokens) => kept.push({ ...tokens }));

const email = process.env.EMAIL ?? `client-${Date.now()}@example.org`;
const answer = await session.call("POST", "auth/signup", { email, password: "correct horse battery staple" });
if (answer.status !== 200) throw new Error(`signup: ${JSON.stringify(answer)}`);
console.log(`signed up as user ${answer.data.user.id}`);

if (process.env.BACKEND) {
  const response = await session.fetch(process.env.BACKEND);
  console.log(`the backend answers ${response.status}: ${await response.text()}`);
}

const wait = Number(process.env.WAIT ?? 0);
if (wait) {
  console.log(`waiting ${wait} s, until the access token has expired`);
  await new Promise((resolve) => setTimeout(resolve, wait * 1000));
}
const answers = await Promise.all(Array.from({ length: 5 }, () => session.call("GET", "auth/session")));
console.log(`five requests at once: ${answers.map(({ status }) => status)}, after ${kept.length - 1} refresh`);

await session.refresh();
console.log("refreshed: another access token, another refresh token");

await session.logout();
await session.refresh().then(
  () => Promise.reject(new Error("refreshed after the logout")),
  (error) => {
    if (!(error instanceof LoginNeeded)) throw error;
    console.log("logged out: the refresh token is worthless");
  },
);
