"""Invents the documents of a web shop: nested, sparse, and drifting as real collections do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from bson import Decimal128, Int64, ObjectId

Document: TypeAlias = dict[str, Any]
Make: TypeAlias = Callable[[random.Random, int], Document]

SHOP, CATALOG = "shop", "catalog"
"""The streamed database, and the one that is synchronised in batches."""

_FIRST = ["Ann", "Zoë", "李雷", "O'Neil", "Björk", "Nadia", "Tomás", "Ingrid", "Kwame", "Mei"]
_LAST = ["Smith", "García", "Müller", "Okafor", "Nguyen", "Rossi", "Kowalski", "Sato", "Haddad", "Silva"]
_CITIES = [("Berlin", "DE"), ("Lagos", "NG"), ("São Paulo", "BR"), ("Hanoi", "VN"), ("Oslo", "NO"), ("Kyoto", "JP")]
_NOUNS = ["lamp", "chair", "kettle", "backpack", "keyboard", "tent", "blender", "watch", "bicycle", "notebook"]
_COLOURS = ["red", "green", "blue", "black", "natural", 'matte "steel"']
_STATUSES = ["placed", "paid", "packed", "shipped", "delivered"]
_OPENED = datetime(2023, 1, 1, tzinfo=UTC)


def user(chance: random.Random, number: int) -> Document:
    """A customer; now and then without a telephone number."""
    city, country = chance.choice(_CITIES)
    document = {
        "_id": ObjectId(),
        "name": f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
        "email": f"user{number}@example.com",
        "active": chance.random() < 0.9,
        "address": {"city": city, "country": country, "geo": {"lat": chance.uniform(-90, 90), "lon": 0.5}},
        "loyalty": {"tier": chance.choice(["none", "silver", "gold"]), "points": Int64(chance.randint(0, 2**40))},
        "signed_up_at": _moment(chance),
        "updated_at": _now(),
    }
    if chance.random() < 0.7:
        document["phone"] = f"+{chance.randint(10**9, 10**11)}"
    return document


def product(chance: random.Random, number: int) -> Document:
    """An article, with its number as key; ratings are whole at first and fractions later."""
    return {
        "_id": number,
        "name": f"{chance.choice(_COLOURS)} {chance.choice(_NOUNS)}",
        "price": _money(chance, 50_000),
        "stock": chance.randint(0, 500),
        "rating": chance.randint(1, 5) if number < 4_000 else round(chance.uniform(1, 5), 1),
        "attributes": {"colour": chance.choice(_COLOURS), "size_cm": [chance.randint(1, 200) for _ in range(3)]},
        "tags": chance.sample(_NOUNS, chance.randint(0, 4)),
        "weight_g": chance.randint(50, 20_000),
        "updated_at": _now(),
    }


def order(chance: random.Random, number: int) -> Document:
    """An order with its lines; a coupon is rare, a note came in with later orders."""
    document = {
        "_id": ObjectId(),
        "number": Int64(10**12 + number),
        "customer": f"user{chance.randint(0, 11_999)}@example.com",
        "status": chance.choice(_STATUSES),
        "lines": [
            {"product": chance.randint(0, 5_439), "quantity": chance.randint(1, 5), "price": _money(chance, 50_000)}
            for _ in range(chance.randint(1, 4))
        ],
        "total": _money(chance, 200_000),
        "discount": chance.randint(0, 30),
        "placed_at": _moment(chance),
        "updated_at": _now(),
    }
    if chance.random() < 0.1:
        document["coupon"] = chance.choice(["SPRING", "VIP", None])
    if number > 30_000:
        document["note"] = "left at\nthe door"
    return document


def category(chance: random.Random, number: int) -> Document:
    """A category, with a speaking key."""
    noun = _NOUNS[number % len(_NOUNS)]
    return {"_id": f"{noun}-{number}", "title": noun.title(), "path": ["home", noun], "updated_at": _now()}


def supplier(chance: random.Random, number: int) -> Document:
    """A supplier of the catalogue."""
    return {
        "_id": number,
        "name": f"{chance.choice(_LAST)} & {chance.choice(_LAST)}",
        "terms": {"days": chance.choice([14, 30, 60]), "currency": "EUR"},
        "score": chance.random(),
        "updated_at": _now(),
    }


COLLECTIONS: dict[tuple[str, str], tuple[Make, int]] = {
    (SHOP, "users"): (user, 12_000),
    (SHOP, "products"): (product, 5_440),
    (SHOP, "orders"): (order, 30_000),
    (CATALOG, "categories"): (category, 60),
    (CATALOG, "suppliers"): (supplier, 2_500),
}
"""Each collection with what makes its documents, and how many there are at first."""


def documents(make: Make, count: int, seed: int) -> Iterator[Document]:
    """The first documents of a collection."""
    chance = random.Random(seed)
    return (make(chance, number) for number in range(count))


def drifting(chance: random.Random, count: int) -> tuple[str, Document]:
    """An update that changes the shape of a collection: its name, and what is set."""
    choices: list[tuple[str, Document]] = [
        ("orders", {"discount": round(chance.uniform(0, 30), 2)}),
        ("orders", {f"campaign_{chance.randint(1, 5)}": {"seen": count}}),
        ("products", {"weight_g": "about 2 kg"}),
        ("products", {"stock": Int64(2**33 + count)}),
        ("users", {"phone": {"country": chance.randint(1, 99), "number": "555-0100"}}),
        ("users", {"newsletter": chance.random() < 0.5}),
    ]
    return chance.choice(choices)


def restocked(chance: random.Random) -> Document:
    """What changes of a product day by day."""
    return {"stock": chance.randint(0, 500), "price": _money(chance, 50_000), "updated_at": _now()}


def advanced(chance: random.Random) -> Document:
    """What changes of an order on its way."""
    return {"status": chance.choice(_STATUSES), "updated_at": _now()}


def _money(chance: random.Random, cents: int) -> Decimal128:
    return Decimal128(f"{chance.randint(0, cents)}.{chance.randint(0, 99):02d}")


def _moment(chance: random.Random) -> datetime:
    return _OPENED + timedelta(milliseconds=chance.randint(0, 10**11))


def _now() -> datetime:
    at = datetime.now(UTC)
    # As precise as BSON's dates.
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
