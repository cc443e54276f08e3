// Learns from orders. The position in the feed is stored in the transaction of the counts, so each order counts once,
// whichever replica reads it and whenever one crashes. The last event that was read is asked for once more: if it is gone,
// the database of orders was restored from an older copy, and everything is learnt again.

import { log } from "./log.js";
import { Context } from "./context.js";

const SOURCE = "orders";
const MAX_EVENTS = 500;
const FIRST_PAUSE_MS = 500; // when all services start together, orders is not ready yet
const SLOWEST_MS = 10_000;
const POSITION = "SELECT position FROM feed_position WHERE feed = ?";
const MOVE = "INSERT INTO feed_position (feed, position) VALUES (?, ?) ON CONFLICT (feed) DO UPDATE SET position = excluded.position";
const RESET = "UPDATE feed_position SET position = 0 WHERE feed = ?";
const FORGET = ["DELETE FROM popularity", "DELETE FROM co_purchases", "DELETE FROM purchases"];
const ADD_POPULARITY =
  "INSERT INTO popularity (sku, category, orders) VALUES (?, ?, 1) ON CONFLICT (sku) DO UPDATE SET orders = orders + 1";
const ADD_PAIR =
  "INSERT INTO co_purchases (sku, other, orders) VALUES (?, ?, 1) ON CONFLICT (sku, other) DO UPDATE SET orders = orders + 1";
const SET_PURCHASE =
  `INSERT INTO purchases (customer_id, sku, position) VALUES (?, ?, ?)
   ON CONFLICT (customer_id, sku) DO UPDATE SET position = excluded.position WHERE excluded.position > purchases.position`;

/** Read the feed of `orders` every `pause` ms, and again at once while there is more; returns a function that ends it. */
export function followFeed({ database, orders, pause }) {
  let timer;
  let ended = false;
  let wait = Math.min(pause, FIRST_PAUSE_MS);
  const turn = async () => {
    try {
      wait = (await step(database, orders)) ? 0 : pause;
    } catch (error) {
      log.warning(`learning: ${error.message}`);
      wait = Math.min(SLOWEST_MS, Math.max(pause, wait * 2)) * (0.5 + Math.random() / 2);
    }
    if (!ended) timer = setTimeout(turn, wait);
  };
  timer = setTimeout(turn, wait);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** Fetch what is new and count it; whether there may be more. */
export async function step(database, orders) {
  throw new Error("step is not written yet"); // microservices/chassis/events.py: FeedReader.step
}

/** Count the events after the stored position; another replica may have counted some meanwhile. */
export function apply(database, events) {
  throw new Error("apply is not written yet"); // FeedReader.apply, in one transaction of `database`
}

/** Forget what was learnt and go back to the start, unless another replica did so since `position` was read. */
function startOver(database, position) {
  if (positionIn(database) !== position) return;
  for (const statement of FORGET) database.run(statement);
  database.run(RESET, SOURCE);
  log.warning(
    `the feed of ${SOURCE} ends before position ${position}, which was already read: its database was restored or made anew; ` +
      "everything is learnt again from the start of the feed",
  );
}

function positionIn(database) {
  return database.first(POSITION, SOURCE)?.position ?? 0;
}

function learn(database, order) {
  const products = new Map(order.items.map((item) => [item.sku, item.category]));
  for (const [sku, category] of products) {
    database.run(ADD_POPULARITY, sku, category);
    database.run(SET_PURCHASE, order.customer_id, sku, order.number);
    for (const other of products.keys()) if (other !== sku) database.run(ADD_PAIR, sku, other);
  }
}

function readEvents(answer) {
  const events = answer?.events;
  if (!Array.isArray(events) || !events.every((event) => Number.isInteger(event?.position))) {
    throw new Error("The orders service answered with JSON that is not as agreed.");
  }
  return events;
}
