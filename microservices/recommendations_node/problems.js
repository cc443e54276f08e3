// Refusals as RFC 9457 problem details, with the types and words of the other services.

/** A refusal; `facts` become members of the document. */
export class Problem extends Error {
  constructor(status, slug, title, detail, facts = {}, headers = {}) {
    super(detail);
    Object.assign(this, { status, slug, title, facts, headers });
  }

  toDocument() {
    const { status, slug, title, message, facts } = this;
    return { type: `/problems/${slug}`, title, status, detail: message, ...facts };
  }
}

const RETRY = { "Retry-After": "1" };

export const notAuthenticated = (detail) =>
  new Problem(401, "not-authenticated", "Sign in first", detail, {}, { "WWW-Authenticate": "Bearer" });

export const notFound = () =>
  new Problem(404, "not-found", "There is nothing here", "No route of the shop has this path.");

export const unknownProduct = (sku) =>
  new Problem(404, "unknown-product", "There is no such product", `The shop has no product ${sku}.`, { sku });

export const methodNotAllowed = (allowed) =>
  new Problem(405, "method-not-allowed", "This cannot be done here", `Use ${allowed} on this path.`, {}, { Allow: allowed });

export const invalid = (field, message) =>
  new Problem(422, "invalid-request", "The request is not valid", "The request is not valid.", {
    errors: [{ field, message }],
  });

export const internalError = () =>
  new Problem(500, "internal-error", "Something went wrong", "The shop made a mistake; it has been logged with the request id.");

export const badUpstream = (detail) => new Problem(502, "bad-upstream", "A part of the shop gave no usable answer", detail);

export const unavailable = (detail) => new Problem(503, "unavailable", "The shop cannot answer just now", detail, {}, RETRY);

export const upstreamTimeout = (detail) =>
  new Problem(504, "upstream-timeout", "A part of the shop did not answer in time", detail);
