// The service's own SQLite file. Several replicas share it: one writes at a time, readers never wait.

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { ConfigError } from "./config.js";

const BUSY_MS = 50; // short, because waiting for another writer would stop every request of this process
const TABLES = {
  co_purchases: "sku VARCHAR(20) NOT NULL, other VARCHAR(20) NOT NULL, orders INTEGER NOT NULL, PRIMARY KEY (sku, other)",
  popularity: "sku VARCHAR(20) NOT NULL, category VARCHAR(40) NOT NULL, orders INTEGER NOT NULL, PRIMARY KEY (sku)",
  purchases:
    "customer_id VARCHAR(32) NOT NULL, sku VARCHAR(20) NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (customer_id, sku)",
  feed_position: "feed VARCHAR(40) NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (feed)",
};
const COLUMNS = {
  co_purchases: ["sku", "other", "orders"],
  popularity: ["sku", "category", "orders"],
  purchases: ["customer_id", "sku", "position"],
  feed_position: ["feed", "position"],
};

/** The database at a SQLAlchemy URL; makes the tables that are missing. Throws ConfigError. */
export function openDatabase(url) {
  const file = sqliteFile(url);
  mkdirSync(dirname(file), { recursive: true });
  const database = new Database(new DatabaseSync(file, { timeout: BUSY_MS }), url);
  database.createTables();
  return database;
}

/** Statements, each prepared once, on one connection. */
class Database {
  #connection;
  #url;
  #prepared = new Map();

  constructor(connection, url) {
    this.#connection = connection;
    this.#url = url;
    connection.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  }

  /** All rows of a query, as objects. */
  all(sql, ...values) {
    return this.#statement(sql).all(...values);
  }

  /** The first row of a query; undefined when there is none. */
  first(sql, ...values) {
    return this.#statement(sql).get(...values);
  }

  /** Run a statement that changes something. */
  run(sql, ...values) {
    this.#statement(sql).run(...values);
  }

  /** Run `work` in one transaction: all of it is stored, or nothing. */
  transaction(work) {
    this.#connection.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#connection.exec("COMMIT");
    } catch (error) {
      this.#connection.exec("ROLLBACK");
      throw error;
    }
  }

  createTables() {
    for (const [name, columns] of Object.entries(TABLES)) {
      this.#connection.exec(`CREATE TABLE IF NOT EXISTS ${name} (${columns})`);
    }
    this.#connection.exec("CREATE INDEX IF NOT EXISTS ix_popularity_orders ON popularity (orders)");
    const lacking = this.misfit();
    if (lacking) throw new ConfigError(lacking);
  }

  /** Why the tables do not fit the code, in one sentence with the next step; empty when they fit. */
  misfit() {
    const lacks = [];
    for (const [table, columns] of Object.entries(COLUMNS)) {
      const found = new Set(this.all(`SELECT name FROM pragma_table_info('${table}')`).map((row) => row.name));
      if (found.size === 0) lacks.push(`lacks the table ${table}`);
      else lacks.push(...columns.filter((name) => !found.has(name)).map((name) => `lacks the column ${table}.${name}`));
    }
    if (lacks.length === 0) return "";
    return (
      `The database ${this.#url} ${lacks.slice(0, 3).join(", ")}; seed it anew with \`microservices seed\`, ` +
      "which replaces its data, or set SHOP_DATABASE_URL to another."
    );
  }

  #statement(sql) {
    let statement = this.#prepared.get(sql);
    if (!statement) this.#prepared.set(sql, (statement = this.#connection.prepare(sql)));
    return statement;
  }
}

/** `?, ?, ?` for a list of values. */
export function placeholders(values) {
  return values.map(() => "?").join(", ");
}

function sqliteFile(url) {
  if (!url.startsWith("sqlite:///")) {
    const scheme = url.split(":", 1)[0];
    throw new ConfigError(
      `SHOP_DATABASE_URL names a ${scheme} database; recommendations on Node stores in SQLite only: ` +
        "set it to sqlite:///FILE, or run the Python service.",
    );
  }
  return decodeURIComponent(url.slice("sqlite:///".length).split("?", 1)[0]);
}
