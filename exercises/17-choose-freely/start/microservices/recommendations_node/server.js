// The HTTP side: routes, refusals, one log line and one metric for each request.

import http from "node:http";

import { Context } from "./context.js";
import { log } from "./log.js";
import { CONTENT_TYPE } from "./metrics.js";
import { internalError, invalid, methodNotAllowed, notFound, Problem, unavailable, unknownProduct } from "./problems.js";
import { suggest } from "./recommendations.js";

const SKU = /^[A-Z0-9][A-Z0-9-]{1,19}$/;
const MAX_CART_SKUS = 50;
const KEEP_ALIVE_MS = 30_000; // longer than the gateway's 20 s: the gateway must be the first to close
const READ = ["GET", "HEAD"];
const ALLOWED = "GET, HEAD, OPTIONS";

/** The server of a service, not listening yet. `parts` are config, database, metrics and verifier. */
export function createServer(parts) {
  const server = http.createServer((request, response) => {
    handle(parts, request, response).catch((error) => response.destroy(error));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

const ROUTES = [
  { path: /^\/healthz$/, name: "/healthz", answer: () => ({ status: "ok" }) },
  { path: /^\/readyz$/, name: "/readyz", answer: readiness },
  { path: /^\/metrics$/, name: "/metrics", answer: ({ metrics }) => metrics.toString() },
  { path: /^\/api\/products\/([^/]+)\/recommendations$/, name: "/api/products/<sku>/recommendations", answer: recommend },
];

async function handle(parts, request, response) {
  const started = performance.now();
  const context = Context.of(request, parts.config.timeout);
  // Not by URL: it would take `//evil/x` for a host, and `..` out of a path.
  const [path, search = ""] = request.url.split("?", 2);
  const route = ROUTES.find((each) => each.path.test(path));
  const asked = { request, path, query: new URLSearchParams(search), context };
  const { status, headers, body } = await answer(parts, route, asked);
  response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body), "X-Request-Id": context.requestId });
  response.end(request.method === "HEAD" ? "" : body);
  const seconds = (performance.now() - started) / 1000;
  parts.metrics.record(request.method, route?.name ?? "(none)", status, seconds);
  log.info(`${request.method} ${path}`, {
    status,
    ms: Math.round(seconds * 10_000) / 10,
    request_id: context.requestId,
    traceparent: context.traceparent,
  });
}

async function answer(parts, route, asked) {
  try {
    if (!route) throw notFound();
    if (asked.request.method === "OPTIONS") return { status: 200, headers: { Allow: ALLOWED }, body: "" };
    if (!READ.includes(asked.request.method)) throw methodNotAllowed(ALLOWED);
    const found = await route.answer(parts, asked, route);
    if (typeof found === "string") return { status: 200, headers: { "Content-Type": CONTENT_TYPE }, body: found };
    return json(200, "application/json", found);
  } catch (error) {
    return refusal(error, asked);
  }
}

function refusal(error, { request, path, context }) {
  const problem = error instanceof Problem ? error : Object.assign(internalError(), { message: error.stack }); // for whom?
  const found = json(problem.status, "application/problem+json", problem.toDocument());
  return { ...found, headers: { ...found.headers, ...problem.headers } };
}

function json(status, type, document) {
  return { status, headers: { "Content-Type": type }, body: JSON.stringify(document) };
}

function readiness({ config, database }) {
  return { status: "ready" }; // also while it drains, or without its database?
}

async function recommend({ database, verifier }, { request, path, query, context }, route) {
  const identity = await verifier.identityOf(request.headers.authorization, context);
  const cart = queryOfSkus(query, "cart", MAX_CART_SKUS);
  const limit = queryNumber(query, "limit", 8, 1, 20);
  const sku = pathPart(route.path.exec(path)[1]);
  if (!SKU.test(sku)) throw unknownProduct(sku);
  return suggest(database, sku, cart, identity?.customerId ?? null, limit);
}

function pathPart(encoded) {
  const text = Buffer.from(encoded.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1");
  const decoded = text.toString("utf8");
  if (decoded.includes("\0") || decoded.includes("/")) throw notFound();
  return decoded;
}

function queryOfSkus(query, name, most) {
  const skus = (query.get(name) ?? "").split(",").filter((part) => part);
  if (skus.length > most) throw invalid(name, `must name at most ${most} products`);
  if (!skus.every((sku) => SKU.test(sku))) throw invalid(name, "must be a comma-separated list of SKUs");
  return [...new Set(skus)];
}

function queryNumber(query, name, byDefault, low, high) {
  const text = query.get(name);
  if (text === null) return byDefault;
  const number = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(number >= low && number <= high)) throw invalid(name, `must be a whole number from ${low} to ${high}`);
  return number;
}
