// A real OpenID Connect provider, to log in at. It asks for nothing but a name, and not for that if `login_hint` has it;
// `nobody` declines.
//
//     SITE=http://127.0.0.1:8000 node server.mjs
//
// Listens on a free port of this machine and says in its first line, in JSON, where (`issuer`), and with which key (`key`)
// the client proves who it is that has one. `POST /rotate` replaces the keys that it signs with.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { SITE } = process.env;
// Nobody reads more than the first line.
console.info = console.error;

const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const ours = ec();

/** A key to sign with, in its own name. */
function signing(alg, { privateKey }) {
  return { ...privateKey.export({ format: "jwk" }), alg, kid: randomUUID(), use: "sig" };
}

/** A provider that signs with new keys, and knows no others. */
function provide() {
  return new Provider(issuer, {
    jwks: { keys: [signing("RS256", rsa()), signing("ES256", ec())] },
    clients: [
      {
        client_id: "by-secret",
        client_secret: "the secret of Vestibule",
        token_endpoint_auth_method: "client_secret_basic",
        // The latter is that of an application, which brings Vestibule the ID tokens that it gets.
        redirect_uris: [`${SITE}/accounts/oidc/by-secret/login/callback/`, "https://app.example.org/signed-in"],
      },
      {
        client_id: "by-key",
        token_endpoint_auth_method: "private_key_jwt",
        id_token_signed_response_alg: "ES256",
        jwks: { keys: [ours.publicKey.export({ format: "jwk" })] },
        redirect_uris: [`${SITE}/accounts/oidc/by-key/login/callback/`],
      },
    ],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, claimsParameter: { enabled: true } },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the test`, email: `${id}@example.org`, email_verified: true }),
    }),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    // Whoever has logged in has agreed.
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid email profile");
      grant.addOIDCClaims(["sub", "name", "email", "email_verified"]);
      await grant.save();
      return grant;
    },
    cookies: { keys: ["known to all the world"] },
  });
}

const ASK = `<!doctype html><html lang="en"><title>Harbour</title>
  <meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><h1>Harbour</h1>
  <form><label>Name <input name="who" required></label> <button>Enter</button></form>`;

async function interact(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const who = params.login_hint ?? new URL(request.url, issuer).searchParams.get("who");
  if (who === null) {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(ASK);
    return;
  }
  const result = who === "nobody" ? { error: "access_denied" } : { login: { accountId: who } };
  await provider.interactionFinished(request, response, result);
}

const server = createServer(async (request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    provider = provide();
    response.writeHead(204).end();
  } else if (request.url.startsWith("/interaction/")) {
    await interact(request, response);
  } else {
    provider.callback()(request, response);
  }
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;
let provider = provide();
console.log(JSON.stringify({ issuer, key: ours.privateKey.export({ type: "pkcs8", format: "pem" }) }));
