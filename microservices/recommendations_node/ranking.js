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
  const found = new Map();
  for (const { seed, sku, together, category, orders } of neighbours) {
    if (seeds.has(sku)) continue;
    let candidate = found.get(sku);
    if (!candidate) found.set(sku, (candidate = { sku, category, orders, score: 0 }));
    candidate.score += (seeds.get(seed) * together) / Math.sqrt(known.get(seed).orders * orders);
  }
  const affinity = categoryAffinity(seeds, known);
  for (const candidate of found.values()) {
    candidate.score *= 1 + CATEGORY_BONUS * (affinity.get(candidate.category) ?? 0);
  }
  return [...found.values()].sort(byScoreAndSku).slice(0, CANDIDATES);
}

/**
 * Pick `limit` candidates, each time the one that is relevant and unlike those already picked.
 *
 * `together` is a Map of Maps: in how many orders two candidates are, in either direction.
 */
export function diversify(candidates, together, limit) {
  if (candidates.length === 0) return [];
  const best = candidates[0].score;
  const left = new Set(candidates);
  const likeness = new Map(candidates.map((candidate) => [candidate, 0]));
  const picked = [];
  while (left.size > 0 && picked.length < limit) {
    const chosen = mostRelevant(left, best, likeness);
    picked.push(chosen);
    left.delete(chosen);
    for (const candidate of left) {
      likeness.set(candidate, Math.max(likeness.get(candidate), similarity(chosen, candidate, together)));
    }
  }
  return picked;
}

/** A score with six decimal places, rounded as Python does: a tie goes to the even digit. */
export function rounded(value) {
  const ofATie = value * 128; // at the seventh place, exactly the odd multiples of 1/128 are ties
  if (Number.isInteger(ofATie) && ofATie % 2 !== 0) {
    const below = Math.floor(value * 1e6);
    return (below % 2 === 0 ? below : below + 1) / 1e6;
  }
  return Number(value.toFixed(6));
}

function mostRelevant(left, best, likeness) {
  let chosen;
  let highest = -Infinity;
  for (const candidate of left) {
    const value = (RELEVANCE * candidate.score) / best - (1 - RELEVANCE) * likeness.get(candidate);
    if (value > highest) [chosen, highest] = [candidate, value];
  }
  return chosen;
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

function byScoreAndSku(a, b) {
  if (a.score !== b.score) return b.score - a.score;
  return a.sku < b.sku ? -1 : 1;
}
