"""The data that both shops start with: deterministic from a seed, with popular products as in real shops.

Popularity follows Zipf's law, and each customer has a few favourite categories, so that some products are really
bought together more often. Nothing here depends on the clock, the platform or the order of a dict.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from .chassis.config import whole_number

DEMO_PASSWORD = "correct-horse-battery"  # noqa: S105 - published on purpose: the demo accounts' password
FIRST_ORDER = datetime(2026, 1, 1, 8, tzinfo=UTC)
TASTES = 16
CATEGORIES_PER_TASTE = 4

CATEGORIES: dict[str, tuple[str, ...]] = {
    "Coffee": ("Pour-over Dripper", "Burr Grinder", "Gooseneck Kettle", "Espresso Cup", "Coffee Scale"),
    "Tea": ("Teapot", "Tea Strainer", "Matcha Whisk", "Tea Caddy", "Tasting Bowl"),
    "Baking": ("Loaf Tin", "Proofing Basket", "Rolling Pin", "Dough Scraper", "Cake Ring"),
    "Knives": ("Chef's Knife", "Paring Knife", "Bread Knife", "Whetstone", "Knife Block"),
    "Pans": ("Frying Pan", "Saucepan", "Roasting Tray", "Griddle", "Casserole"),
    "Tableware": ("Dinner Plate", "Soup Bowl", "Serving Platter", "Salad Servers", "Butter Dish"),
    "Glassware": ("Water Glass", "Carafe", "Wine Glass", "Tumbler", "Storage Jar"),
    "Linen": ("Tablecloth", "Tea Towel", "Napkin Set", "Apron", "Bread Bag"),
    "Bedding": ("Duvet Cover", "Pillowcase", "Throw", "Fitted Sheet", "Bedspread"),
    "Lighting": ("Desk Lamp", "Pendant Shade", "Reading Light", "Lantern", "String Lights"),
    "Candles": ("Pillar Candle", "Tea Light Set", "Candle Holder", "Wick Trimmer", "Scented Candle"),
    "Storage": ("Storage Basket", "Shelf Box", "Drawer Divider", "Crate", "Hook Rail"),
    "Cleaning": ("Dish Brush", "Broom", "Dustpan", "Soap Bar", "Scouring Pad"),
    "Garden Tools": ("Trowel", "Hand Fork", "Secateurs", "Watering Can", "Garden Twine"),
    "Seeds": ("Tomato Seeds", "Basil Seeds", "Sunflower Seeds", "Bean Seeds", "Wildflower Mix"),
    "Planters": ("Plant Pot", "Hanging Planter", "Window Box", "Saucer", "Plant Stand"),
    "Outdoor Living": ("Deck Chair", "Picnic Blanket", "Fire Bowl", "Hammock", "Side Table"),
    "Camping": ("Camp Stove", "Enamel Mug", "Sleeping Mat", "Tarp", "Head Torch"),
    "Hiking": ("Day Pack", "Water Bottle", "Trekking Pole", "Map Case", "Wool Socks"),
    "Cycling": ("Handlebar Bag", "Bell", "Tyre Lever", "Saddle Cover", "Bike Light"),
    "Running": ("Running Cap", "Hydration Belt", "Running Tights", "Reflective Vest", "Arm Pocket"),
    "Yoga": ("Yoga Mat", "Cork Block", "Bolster", "Yoga Strap", "Meditation Cushion"),
    "Swimming": ("Swim Goggles", "Swim Cap", "Beach Towel", "Dry Bag", "Kickboard"),
    "Notebooks": ("Notebook", "Sketchbook", "Weekly Planner", "Index Cards", "Pocket Journal"),
    "Pens": ("Fountain Pen", "Ballpoint Pen", "Ink Bottle", "Pencil Set", "Pen Roll"),
    "Desk": ("Desk Mat", "Letter Tray", "Bookend", "Pen Pot", "Monitor Stand"),
    "Paper Craft": ("Origami Paper", "Bone Folder", "Cutting Mat", "Washi Tape", "Paper Trimmer"),
    "Painting": ("Watercolour Set", "Brush Set", "Canvas Board", "Palette", "Easel"),
    "Knitting": ("Wool Skein", "Knitting Needles", "Stitch Markers", "Yarn Bowl", "Row Counter"),
    "Sewing": ("Fabric Shears", "Pin Cushion", "Thread Set", "Tape Measure", "Sewing Kit"),
    "Pottery": ("Clay Block", "Loop Tool", "Rib Set", "Glaze Jar", "Banding Wheel"),
    "Records": ("Record Brush", "Record Crate", "Slipmat", "Inner Sleeves", "Stylus Cleaner"),
    "Music": ("Ukulele", "Kalimba", "Music Stand", "Tuning Fork", "Shaker"),
    "Board Games": ("Strategy Game", "Card Game", "Dice Set", "Chess Set", "Puzzle"),
    "Toys": ("Building Blocks", "Spinning Top", "Kite", "Wooden Train", "Rag Doll"),
    "Baby": ("Swaddle Cloth", "Rattle", "Bib", "Bath Towel", "Mobile"),
    "Dogs": ("Dog Lead", "Dog Bowl", "Chew Toy", "Dog Bed", "Treat Pouch"),
    "Cats": ("Scratching Post", "Cat Bowl", "Feather Toy", "Cat Cushion", "Grooming Glove"),
    "Bath": ("Bath Brush", "Hand Towel", "Bath Mat", "Shaving Brush", "Soap Dish"),
    "Travel": ("Passport Wallet", "Packing Cube", "Neck Pillow", "Luggage Tag", "Wash Bag"),
}
STYLES = (
    "Oak", "Linen", "Copper", "Stoneware", "Walnut", "Nordic", "Harbour", "Meadow", "Slate", "Everyday",
    "Heritage", "Compact", "Studio", "Amber", "Coastal", "Classic", "Willow", "Graphite", "Sunrise", "Atelier",
    "Alpine", "Cobalt", "Folded", "Moss", "Ivory",
)  # fmt: skip
QUALITIES = ("made to be repaired", "light enough for every day", "the one that people come back for",
             "finished by hand", "plain, sturdy and easy to clean", "from a small workshop")  # fmt: skip
FIRST_NAMES = ("Ada", "Grace", "Alan", "Barbara", "Edsger", "Frances", "Donald", "Radia", "Ken", "Margaret")
LAST_NAMES = ("Byron", "Murray", "Mathison", "Huberman", "Wybe", "Allen", "Ervin", "Joy", "Lane", "Heafield")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much data to make."""

    seed: int
    """SHOP_SEED: the same seed gives the same data everywhere (default 1)."""
    products: int
    """SHOP_PRODUCTS: number of products (default 2000)."""
    customers: int
    """SHOP_CUSTOMERS: number of customers (default 5000)."""
    orders: int
    """SHOP_ORDERS: number of past orders (default 20000)."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Sizes:
        """Read the sizes from `env`; raise ConfigError with a sentence for one that cannot be used."""
        return cls(
            seed=whole_number(env, "SHOP_SEED", 1, 0, 2**31),
            products=whole_number(env, "SHOP_PRODUCTS", 2000, 40, 99_999),
            customers=whole_number(env, "SHOP_CUSTOMERS", 5000, 3, 99_999),
            orders=whole_number(env, "SHOP_ORDERS", 20_000, 0, 999_999),
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of both shops, as JSON-ready dicts, one list for each table."""

    customers: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    products: list[dict[str, Any]]
    stock: list[dict[str, Any]]
    orders: list[dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write one JSON-lines file for each table."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in ("customers", "categories", "products", "stock", "orders"):
            with (folder / f"{table}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in getattr(self, table))


def make_dataset(sizes: Sizes, password_hash: str) -> Dataset:
    """Make the whole data set; every customer gets this password hash."""
    chance = random.Random(sizes.seed)
    categories = [{"slug": slug(name), "name": name} for name in CATEGORIES]
    products = list(_products(chance, sizes.products))
    customers = list(_customers(sizes.customers, password_hash))
    return Dataset(
        customers=customers,
        categories=categories,
        products=products,
        stock=[{"sku": product["sku"], "available": chance.randint(2_000, 9_000)} for product in products],
        orders=list(_orders(chance, sizes.orders, products, customers)),
    )


def slug(name: str) -> str:
    """The category's name as used in a URL."""
    return name.lower().replace(" ", "-")


def _products(chance: random.Random, number: int) -> Iterator[dict[str, Any]]:
    names = list(CATEGORIES)
    ranks = list(range(1, number + 1))
    chance.shuffle(ranks)
    for index in range(number):
        category = names[index % len(names)]
        turn = index // len(names)
        nouns = CATEGORIES[category]
        noun = nouns[turn % len(nouns)]
        style = STYLES[(turn // len(nouns) + index) % len(STYLES)]
        edition = turn // (len(nouns) * len(STYLES))
        yield {
            "sku": f"P{index + 1:05d}",
            "name": f"{style} {noun}" + (f" No. {edition + 1}" if edition else ""),
            "description": f"A {noun.lower()} for people who care about {category.lower()}: "
            f"{chance.choice(QUALITIES)}.",
            "category": slug(category),
            "price_cents": 100 * chance.randint(4, 120) + chance.choice((0, 50, 90, 95)),
            "bestseller_rank": ranks[index],
        }


def _customers(number: int, password_hash: str) -> Iterator[dict[str, Any]]:
    demo = ("admin@example.com", "ada@example.com", "grace@example.com")
    for index in range(number):
        first = FIRST_NAMES[(index - 1) % len(FIRST_NAMES)]
        last = LAST_NAMES[(index - 1) // len(FIRST_NAMES) % len(LAST_NAMES)]
        yield {
            "id": f"C{index:05d}",
            "email": demo[index] if index < len(demo) else f"customer{index:05d}@example.com",
            "name": f"{first} {last}" if index else "Shop Admin",
            "role": "customer" if index else "admin",
            "password_hash": password_hash,
        }


def _orders(
    chance: random.Random, number: int, products: list[dict[str, Any]], customers: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    shelves = [_Shelf(chance, products) for _ in range(TASTES)]
    everything = _Shelf(chance, products, all_categories=True)
    step = timedelta(days=180) / max(number, 1)
    for index in range(number):
        # Some people shop often: the square of a uniform draw favours the first customers, as in real shops.
        customer = 1 + int((len(customers) - 1) * chance.random() ** 2)
        shelf = shelves[customer % TASTES]
        basket: dict[str, dict[str, Any]] = {}
        for _ in range(1 + min(int(chance.expovariate(0.6)), 6)):
            product = (shelf if chance.random() < 0.85 else everything).pick(chance)
            basket[product["sku"]] = product
        lines = [
            {
                "sku": product["sku"],
                "name": product["name"],
                "category": product["category"],
                "unit_price_cents": product["price_cents"],
                "quantity": 1 if chance.random() < 0.8 else 2,
            }
            for _, product in sorted(basket.items())
        ]
        yield {
            "id": f"O{index + 1:06d}",
            "customer_id": customers[customer]["id"],
            "total_cents": sum(line["unit_price_cents"] * line["quantity"] for line in lines),
            "created_at": (FIRST_ORDER + step * index).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "items": lines,
        }


class _Shelf:
    """Products of a few favourite categories, drawn by Zipf's law on their bestseller rank."""

    def __init__(
        self, chance: random.Random, products: list[dict[str, Any]], *, all_categories: bool = False
    ) -> None:
        favourites = {slug(name) for name in chance.sample(sorted(CATEGORIES), CATEGORIES_PER_TASTE)}
        self._products = [p for p in products if all_categories or p["category"] in favourites]
        weights = (1.0 / product["bestseller_rank"] ** 0.7 for product in self._products)
        self._cumulative = list(accumulate(weights))

    def pick(self, chance: random.Random) -> dict[str, Any]:
        return chance.choices(self._products, cum_weights=self._cumulative)[0]
