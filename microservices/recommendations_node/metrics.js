// Counters and a histogram in Prometheus' text format, with the names of the Python services.

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, Infinity];

export const CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8";

export class Metrics {
  #requests = new Map();
  #calls = new Map();
  #attempts = new Map();
  #seconds = new Map();

  /** Count one answered request. */
  record(method, route, status, seconds) {
    add(this.#requests, labels({ method, route, status }));
    const key = labels({ route });
    let histogram = this.#seconds.get(key);
    if (!histogram) this.#seconds.set(key, (histogram = { counts: BUCKETS.map(() => 0), sum: 0, route }));
    histogram.counts[BUCKETS.findIndex((bound) => seconds <= bound)] += 1;
    histogram.sum += seconds;
  }

  /** Count one call of another service: `ok`, or a problem's slug. */
  called(upstream, outcome) {
    add(this.#calls, labels({ upstream, outcome }));
    add(this.#attempts, labels({ upstream }));
  }

  /** All of them as text. */
  toString() {
    return [
      ...counter("http_requests", "Answered requests", this.#requests),
      ...this.#histogram(),
      ...counter("upstream_calls", "Calls of this service to another one, by outcome", this.#calls),
      ...counter("upstream_attempts", "Requests sent for those calls", this.#attempts),
      "",
    ].join("\n");
  }

  *#histogram() {
    yield "# HELP http_request_seconds Time to answer, in seconds";
    yield "# TYPE http_request_seconds histogram";
    for (const [key, { counts, sum, route }] of this.#seconds) {
      let total = 0;
      for (const [index, bound] of BUCKETS.entries()) {
        total += counts[index];
        const le = bound === Infinity ? "+Inf" : String(Number.isInteger(bound) ? bound.toFixed(1) : bound);
        yield `http_request_seconds_bucket${labels({ le, route })} ${total}`;
      }
      yield `http_request_seconds_count${key} ${total}`;
      yield `http_request_seconds_sum${key} ${sum}`;
    }
  }
}

function add(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function* counter(name, help, counts) {
  yield `# HELP ${name}_total ${help}`;
  yield `# TYPE ${name}_total counter`;
  for (const [key, count] of counts) yield `${name}_total${key} ${count}`;
}

function labels(named) {
  const pairs = Object.entries(named).map(([name, value]) => `${name}="${String(value).replace(/[\\"]/g, "\\$&")}"`);
  return `{${pairs.join(",")}}`;
}
