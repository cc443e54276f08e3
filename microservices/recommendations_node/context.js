// What a request passes on to each service that it calls: request id, trace context and deadline.

import { randomBytes } from "node:crypto";

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const hex = (bytes) => randomBytes(bytes).toString("hex");

/** One request, or one turn of background work. */
export class Context {
  constructor(requestId, traceparent, deadline) {
    this.requestId = requestId;
    this.traceparent = traceparent;
    this.deadline = deadline; // on the clock of performance.now()
  }

  /** The context of an arriving request; its caller may shorten `timeout` (ms). */
  static of(request, timeout) {
    const { "x-request-id": asked, "x-deadline-ms": left, traceparent } = request.headers;
    if (/^[0-9]+$/.test(left ?? "")) timeout = Math.min(timeout, Number(left.slice(0, 9)));
    const requestId = REQUEST_ID.test(asked ?? "") ? asked : hex(16);
    return new Context(requestId, traceparent ?? null, performance.now() + timeout);
  }

  /** A context for work that no request asked for: "00" at the end says that it is not traced. */
  static ofWork() {
    return new Context(hex(16), `00-${hex(16)}-${hex(8)}-00`, Infinity);
  }

  /** Milliseconds until the deadline; negative when it has passed. */
  left() {
    return this.deadline - performance.now();
  }

  /** The headers of a call to the next service: the same id and trace, and a span id of its own. */
  headers() {
    if (!TRACEPARENT.test(this.traceparent ?? "")) this.traceparent = `00-${hex(16)}-${hex(8)}-01`;
    const [version, trace, , flags] = this.traceparent.split("-");
    return { "X-Request-Id": this.requestId, traceparent: `${version}-${trace}-${hex(8)}-${flags}` };
  }
}
