// What goes well with a product: pure functions from counts to a ranked list, the same arithmetic in the same order as
// microservices/recommendations/ranking.py, so that both give the same numbers.
//
// Similarity of two products is the cosine of their orders, together / sqrt(orders_a * orders_b). The list is then
// re-ranked by maximal marginal relevance (Carbonell and Goldstein 1998).

const VIEWED = 1.0;
const IN_CART = 0.5;
const BOUGHT = 0.25;
const CATEGORY_BONUS = 0.5;
const CANDIDATES = 40;
const RELEVANCE = 0.7;
const SAME_CATEGORY = 0.3;

/** The weight of each product that the customer saw, put in the cart or bought; the largest one counts. A Map by SKU. */
export function weighSeeds(sku, cart, history) {
  const seeds = new Map(history.map((bought) => [bought, BOUGHT]));
  for (const inCart of cart) seeds.set(inCart, IN_CART);
  return seeds.set(sku, VIEWED);
}

/**
 * The best candidates, highest score first.
 *
 * `known` is a Map of `{category, orders}` for each seed that was ever sold; `neighbours` are rows
 * `{seed, sku, together, category, orders}` by seed.
 */
export function score(seeds, known, neighbours) {
  throw new Error("score is not written yet"); // ranking.py: score
}

/**
 * Pick `limit` candidates, each time the one that is relevant and unlike those already picked.
 *
 * `together` is a Map of Maps: in how many orders two candidates are, in either direction.
 */
export function diversify(candidates, together, limit) {
  throw new Error("diversify is not written yet"); // ranking.py: diversify
}

/** A score with six decimal places, rounded as Python does: a tie goes to the even digit. */
export function rounded(value) {
  return Math.round(value * 1e6) / 1e6; // nearly
}

function categoryAffinity(seeds, known) {
  let total = 0;
  for (const weight of seeds.values()) total += weight;
  const affinity = new Map();
  for (const [sku, weight] of seeds) {
    const category = known.get(sku)?.category;
    if (category !== undefined) affinity.set(category, (affinity.get(category) ?? 0) + weight / total);
  }
  return affinity;
}

function similarity(a, b, together) {
  const alike = (together.get(a.sku)?.get(b.sku) ?? 0) / Math.sqrt(a.orders * b.orders);
  return Math.min(1, alike + (a.category === b.category ? SAME_CATEGORY : 0));
}
