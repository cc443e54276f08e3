// Two kinds of tokens, both EdDSA: customers' are checked with the keys that accounts publishes, and this service signs
// its own for calls to others. The algorithm is pinned: a token that names another one, or none, is refused.

import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

import { badUpstream, notAuthenticated } from "./problems.js";

const SHOP = "shop"; // issuer and audience of customers' tokens
const MAX_REMEMBERED = 10_000;
const SERVICE_TOKEN_SECONDS = 300;
const REFETCH_MS = 5_000;
const REFETCH_AFTER_FAILURE_MS = 500;
const PKCS8_OF_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex"); // RFC 8410, before the raw key
const NOT_VALID = "The token is not valid or has expired; sign in again.";

const now = () => Date.now() / 1000;

/** Checks customers' tokens, and remembers the valid ones until they expire. */
export class TokenVerifier {
  #keys;
  #verified = new Map();

  constructor(accounts) {
    this.#keys = new PublishedKeys(accounts);
  }

  /** `{customerId, expires}` of the token in an Authorization header; null without one. Throws a Problem. */
  async identityOf(authorization, context) {
    if (authorization === undefined) return null;
    const [scheme, token] = splitOnce(authorization, " ");
    if (scheme.toLowerCase() !== "bearer" || !token) {
      throw notAuthenticated("Send the token as `Authorization: Bearer <token>`.");
    }
    const known = this.#verified.get(token);
    if (known && known.expires > now()) return known;
    const identity = await this.#check(token, context);
    if (this.#verified.size >= MAX_REMEMBERED) this.#verified.clear();
    this.#verified.set(token, identity);
    return identity;
  }

  async #check(token, context) {
    const claims = decoded(token.split(".")[1] ?? ""); // anybody can write claims: who signed these, for whom, until when?
    if (!claims) throw notAuthenticated(NOT_VALID);
    return { customerId: claims.sub, expires: claims.exp };
  }
}

/** Signs the tokens of this service, and uses each for most of its lifetime. */
export class ServiceTokens {
  #service;
  #key;
  #issued = new Map();

  constructor(service, rawKey) {
    this.#service = service;
    this.#key = rawKey && createPrivateKey({ key: Buffer.concat([PKCS8_OF_ED25519, rawKey]), format: "der", type: "pkcs8" });
  }

  /** A token for calls to `audience`; null without a key to sign with. */
  issue(audience) {
    const issued = this.#issued.get(audience);
    if (issued && issued.goodUntil > now()) return issued.token;
    if (!this.#key) return null;
    const iat = Math.floor(now());
    const claims = { iss: this.#service, aud: audience, iat, exp: iat + SERVICE_TOKEN_SECONDS };
    const text = `${encoded({ alg: "EdDSA", typ: "JWT" })}.${encoded(claims)}`;
    const token = `${text}.${sign(null, Buffer.from(text), this.#key).toString("base64url")}`;
    this.#issued.set(audience, { token, goodUntil: iat + SERVICE_TOKEN_SECONDS * 0.8 });
    return token;
  }
}

/** The key set of accounts, fetched again when a key is unknown, but not for every bad token. */
class PublishedKeys {
  #accounts;
  #keys = new Map();
  #failure = null;
  #nextFetch = 0;
  #fetching = null;

  constructor(accounts) {
    this.#accounts = accounts;
  }

  async find(kid, context) {
    if (!this.#keys.has(kid)) {
      if (performance.now() >= this.#nextFetch) this.#fetching ??= this.#refetch(context);
      await this.#fetching;
      if (!this.#keys.has(kid) && this.#failure) throw this.#failure;
    }
    return this.#keys.get(kid);
  }

  async #refetch(context) {
    try {
      const { keys } = await this.#accounts.get("/.well-known/jwks.json", context);
      this.#keys = new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: "jwk" })]));
      this.#failure = null;
    } catch (error) {
      this.#failure = error.slug ? error : badUpstream("The key set that tokens are checked with is not valid.");
    }
    this.#nextFetch = performance.now() + (this.#failure ? REFETCH_AFTER_FAILURE_MS : REFETCH_MS);
    this.#fetching = null;
  }
}

function decoded(part) {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}
