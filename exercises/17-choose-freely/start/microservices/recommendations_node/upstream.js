// Calls to another service: one deadline for the whole answer, and every failure a Problem.
//
// Nothing is repeated here: the feed is read again by its loop, and the gateway repeats what it can.

import { Agent, request } from "node:http";

import { badUpstream, unavailable, upstreamTimeout } from "./problems.js";

const MAX_BYTES = 8 << 20;

/** The service `name` at `url`; `timeout` in milliseconds. */
export class Upstream {
  #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #name;
  #url;
  #options;

  constructor(name, url, options) {
    this.#name = name;
    this.#url = url;
    this.#options = options;
  }

  /** The JSON of a GET; throws a Problem. */
  async get(path, context) {
    const { metrics } = this.#options;
    try {
      const document = await this.#ask(path, context);
      metrics.called(this.#name, "ok");
      return document;
    } catch (problem) {
      metrics.called(this.#name, problem.slug ?? "internal-error");
      throw problem;
    }
  }

  #ask(path, context) {
    const name = this.#name;
    const timeout = this.#options.timeout; // the caller may have less time left, and an answer may come byte by byte
    const options = { agent: this.#agent, headers: this.#headers(path, context, timeout), timeout };
    return new Promise((resolve, reject) => {
      const lost = () => unavailable(`The ${name} service cannot be reached just now.`);
      const sent = request(this.#url + path, options, (response) => {
        read(response).then(
          (body) => resolve({ status: response.statusCode, body }),
          () => reject(lost()),
        );
      });
      sent.on("error", () => reject(lost()));
      sent.end();
    }).then(({ status, body }) => parsed(name, status, body));
  }

  #headers(path, context, timeout) {
    const headers = { Accept: "application/json", "X-Deadline-Ms": String(timeout), ...context.headers() };
    const token = path.startsWith("/internal/") ? this.#options.tokens.issue(this.#name) : null;
    return token ? { ...headers, Authorization: `Service ${token}` } : headers;
  }
}

async function read(response) {
  const parts = [];
  let bytes = 0;
  for await (const part of response) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new Error("The body is too large.");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parsed(name, status, body) {
  if (status === 429 || status === 503) throw unavailable(`The ${name} service cannot answer just now.`);
  if (status === 504) throw upstreamTimeout(`The ${name} service did not answer in time.`);
  if (status < 200 || status > 299) throw badUpstream(`The ${name} service failed (${status}).`);
  try {
    return JSON.parse(body);
  } catch {
    throw badUpstream(`The ${name} service answered with broken JSON.`);
  }
}
