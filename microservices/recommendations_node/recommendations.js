// What goes well with a product, for this customer: the shop's hot component.

import { placeholders } from "./database.js";
import { diversify, rounded, score, weighSeeds } from "./ranking.js";

const HISTORY = 5;
const BOUGHT = `SELECT sku FROM purchases WHERE customer_id = ? ORDER BY position DESC, sku LIMIT ${HISTORY}`;
const POPULAR = "SELECT sku FROM popularity ORDER BY orders DESC, sku LIMIT ?";

/**
 * Up to `limit` products that go well with `sku`, given the SKUs in the cart and the customer (null: nobody).
 *
 * Popular products (score 0) fill up a list that is too short, as for a product that was never sold.
 */
export function suggest(database, sku, cart, customerId, limit) {
  const seeds = weighSeeds(sku, cart, history(database, customerId));
  const known = knownProducts(database, [...seeds.keys()]);
  const candidates = score(seeds, known, neighbours(database, [...known.keys()]));
  const picked = diversify(candidates, together(database, candidates), limit);
  const items = picked.map((candidate) => ({ sku: candidate.sku, score: decimal(rounded(candidate.score)) }));
  if (items.length < limit) {
    const shown = new Set([...seeds.keys(), ...picked.map((candidate) => candidate.sku)]);
    for (const popular of popularBut(database, shown, limit - items.length)) items.push({ sku: popular, score: decimal(0) });
  }
  return { sku, items };
}

/** A number that JSON shows with a decimal point, also 0: some languages read `0` as another type than `0.5`. */
function decimal(value) {
  return JSON.rawJSON(Number.isInteger(value) ? value.toFixed(1) : String(value));
}

function history(database, customerId) {
  return customerId === null ? [] : database.all(BOUGHT, customerId).map((row) => row.sku);
}

function knownProducts(database, skus) {
  const rows = database.all(
    `SELECT sku, category, orders FROM popularity WHERE sku IN (${placeholders(skus)})`,
    ...skus,
  );
  return new Map(rows.map((row) => [row.sku, row]));
}

function neighbours(database, seeds) {
  if (seeds.length === 0) return [];
  return database.all(
    `SELECT c.sku AS seed, c.other AS sku, c.orders AS together, p.category, p.orders
     FROM co_purchases c JOIN popularity p ON p.sku = c.other
     WHERE c.sku IN (${placeholders(seeds)}) ORDER BY c.sku`,
    ...seeds,
  );
}

function together(database, candidates) {
  const skus = candidates.map((candidate) => candidate.sku);
  const found = new Map(skus.map((sku) => [sku, new Map()]));
  if (skus.length === 0) return found;
  const list = placeholders(skus);
  const rows = database.all(
    `SELECT sku, other, orders FROM co_purchases WHERE sku IN (${list}) AND other IN (${list})`,
    ...skus,
    ...skus,
  );
  for (const { sku, other, orders } of rows) found.get(sku).set(other, orders);
  return found;
}

function popularBut(database, shown, number) {
  const best = database.all(POPULAR, number + shown.size).map((row) => row.sku);
  return best.filter((sku) => !shown.has(sku)).slice(0, number);
}
