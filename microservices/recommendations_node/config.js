// Settings from SHOP_* environment variables, checked once; the same names and meanings as in the Python services.

import { resolve } from "node:path";

const KEY_BYTES = 32; // of a raw Ed25519 key
const LEVELS = ["debug", "info", "warning", "error"];

/** A setting cannot be used; the message is one sentence for a person. */
export class ConfigError extends Error {}

/** The settings of `service`, which calls the services named in `calls`; throws ConfigError. Times are in milliseconds. */
export function readConfig(service, env, calls) {
  if ((env.SHOP_SERVICE ?? service) !== service) {
    throw new ConfigError(`SHOP_SERVICE is '${env.SHOP_SERVICE}', but this is '${service}'; unset it.`);
  }
  const home = resolve(env.SHOP_HOME ?? ".shop");
  return Object.freeze({
    service,
    host: env.SHOP_HOST ?? "127.0.0.1",
    port: wholeNumber(env, "SHOP_PORT", 8000, 1, 65535),
    databaseUrl: env.SHOP_DATABASE_URL || sqliteUrl(`${home}/data/${service}.sqlite3`),
    urls: Object.fromEntries(calls.map((name) => [name, address(env, name, service)])),
    serviceKey: env.SHOP_SERVICE_KEY ? rawKey("SHOP_SERVICE_KEY", env.SHOP_SERVICE_KEY) : null,
    drainFile: env.SHOP_DRAIN_FILE || null,
    logLevel: oneOf(env, "SHOP_LOG_LEVEL", "warning", LEVELS),
    timeout: seconds(env, "SHOP_TIMEOUT_SECONDS", 2.0) * 1000,
    feedInterval: seconds(env, "SHOP_FEED_SECONDS", 0.5) * 1000,
  });
}

function sqliteUrl(file) {
  return `sqlite:///${file.split("/").map(encodeURIComponent).join("/")}`; // as SQLAlchemy writes it
}

function address(env, name, service) {
  const variable = `SHOP_${name.toUpperCase()}_URL`;
  const value = env[variable];
  if (!value) throw new ConfigError(`${variable} is not set; ${service} has to know where ${name} is.`);
  if (!value.startsWith("http://")) {
    throw new ConfigError(
      `${variable} is '${value}'; services call each other without TLS: ` +
        "set it to an http:// address such as http://127.0.0.1:8001.",
    );
  }
  return value.replace(/\/+$/, "");
}

function wholeNumber(env, name, byDefault, low, high) {
  const text = env[name] ?? String(byDefault);
  const value = Number(text);
  if (!/^[0-9]{1,9}$/.test(text) || value < low || value > high) {
    throw new ConfigError(`${name} is '${text}'; set it to a whole number from ${low} to ${high}.`);
  }
  return value;
}

function seconds(env, name, byDefault) {
  const text = env[name] ?? String(byDefault);
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value > 0 && value <= 3600)) {
    throw new ConfigError(`${name} is '${text}'; set it to a number of seconds above 0 and up to 3600.`);
  }
  return value;
}

function oneOf(env, name, byDefault, allowed) {
  const text = (env[name] ?? byDefault).toLowerCase();
  if (!allowed.includes(text)) {
    throw new ConfigError(`${name} is '${text}'; set it to one of ${allowed.join(", ")}.`);
  }
  return text;
}

function rawKey(name, text) {
  const key = Buffer.from(text, "base64");
  if (key.length !== KEY_BYTES || key.toString("base64") !== text) {
    throw new ConfigError(`${name} is not a raw Ed25519 key; set it to the base64 text of ${KEY_BYTES} bytes.`);
  }
  return key;
}
