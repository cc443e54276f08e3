// The recommendations service on Node: serves until SIGTERM, and follows the orders' feed meanwhile.

import { ConfigError, readConfig } from "./config.js";
import { openDatabase } from "./database.js";
import { followFeed } from "./feed.js";
import { configureLog } from "./log.js";
import { Metrics } from "./metrics.js";
import { createServer } from "./server.js";
import { ServiceTokens, TokenVerifier } from "./tokens.js";
import { Upstream } from "./upstream.js";

const STOP_MS = 4_000; // for the requests in progress, once the process was told to stop: none may take more than three seconds

function main(env) {
  const config = readConfig("recommendations", env, ["orders", "accounts"]);
  configureLog(config.service, config.logLevel);
  const database = openDatabase(config.databaseUrl);
  const metrics = new Metrics();
  const tokens = new ServiceTokens(config.service, config.serviceKey);
  const upstream = (name) => new Upstream(name, config.urls[name], { tokens, metrics, timeout: config.timeout });
  const verifier = new TokenVerifier(upstream("accounts"));
  const server = createServer({ config, database, metrics, verifier });

  const stopFeed = followFeed({ database, orders: upstream("orders"), pause: config.feedInterval });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    process.on(signal, () => {
      stopFeed();
      setTimeout(() => process.exit(0), STOP_MS).unref();
      server.close(() => process.exit(0)); // refuses new connections and ends the idle ones
      setInterval(() => server.closeIdleConnections(), 50); // and those that become idle after their last answer
    });
  }
  server.listen(config.port, config.host);
}

try {
  main(process.env);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
