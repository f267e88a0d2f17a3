// A backend that lets in whoever brings an access token of Vestibule. It asks Vestibule for nothing but its public keys.
//
//     ISSUER=https://auth.example.org node verify.mjs
//     curl http://localhost:9000/ -H "Authorization: Bearer $ACCESS_TOKEN"

import { createServer } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const ISSUER = process.env.ISSUER ?? "http://localhost:8000";
const AUDIENCE = process.env.AUDIENCE ?? ISSUER;
// Decided here, never by the token. Name the one that you have set, and two only while you go from one to the other.
const ALGORITHMS = ["EdDSA", "ES256", "RS256"];

// Fetched at the first token, and again after five minutes or for a key that is not known yet.
const keys = createRemoteJWKSet(new URL(`${ISSUER}/.well-known/jwks.json`), { cacheMaxAge: 300_000 });

/** The id of the user whom an access token stands for. Rejects if it is not good. */
export async function userOf(token) {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ALGORITHMS,
    issuer: ISSUER,
    audience: AUDIENCE,
    clockTolerance: 5, // seconds by which the clocks of two machines may differ
    requiredClaims: ["exp", "iat", "sub"],
  });
  // A refresh token is signed by the same key, and opens nothing.
  if (payload.token_use !== "access") throw new errors.JWTInvalid("no access token");
  return payload.sub;
}

createServer(async (request, response) => {
  const [scheme, token = ""] = (request.headers.authorization ?? "").split(" ");
  try {
    if (scheme.toLowerCase() !== "bearer") throw new errors.JWTInvalid("no token");
    const user = await userOf(token);
    response.writeHead(200).end(user);
  } catch (error) {
    // What is wrong with a token has its own class; all else means that the keys are out of reach.
    const refused = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
    if (refused) response.writeHead(401, { "www-authenticate": "Bearer" }).end("log in first");
    else response.writeHead(503).end("the keys are out of reach");
  }
}).listen(Number(process.env.PORT ?? 9000), "localhost");
