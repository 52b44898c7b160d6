"""Stock keeping for a small shop: articles, movements, and what has to be ordered."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path


@dataclass
class Article:
    """Something the shop sells."""

    number: str
    name: str
    price: float
    minimum: int = 0


@dataclass
class Movement:
    """Pieces of an article that came in (positive) or went out (negative)."""

    article: str
    pieces: int
    day: date


@dataclass
class Inventory:
    """All articles and what happened to them."""

    articles: dict[str, Article] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)

    def add_article(self, article: Article) -> None:
        """Register an article under its number."""
        if article.number in self.articles:
            raise ValueError(f"article {article.number} is known already")
        self.articles[article.number] = article

    def receive(self, number: str, pieces: int, day: date) -> None:
        """Book pieces that came in."""
        if pieces <= 0:
            raise ValueError("pieces must be positive")
        self.movements.append(Movement(number, pieces, day))

    def sell(self, number: str, pieces: int, day: date) -> None:
        """Book pieces that went out."""
        if pieces <= 0:
            raise ValueError("pieces must be positive")
        self.movements.append(Movement(number, -pieces, day))

    def stock(self) -> dict[str, int]:
        """Pieces on the shelf, by article number."""
        counts: dict[str, int] = defaultdict(int)
        for movement in self.movements:
            counts[movement.article] += movement.pieces
        return dict(counts)

    def value(self) -> float:
        """What everything on the shelf is worth."""
        total = 0.0
        for number, pieces in self.stock().items():
            total += pieces * self.articles[number].price
        return total

    def to_order(self) -> list[Article]:
        """Articles of which there are fewer pieces than their minimum."""
        stock = self.stock()
        return [
            article
            for article in self.articles.values()
            if stock.get(article.number, 0) < article.minimum
        ]


def load_articles(path: Path) -> list[Article]:
    """Read articles from a CSV file with a header line."""
    articles = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            articles.append(
                Article(
                    number=row["number"],
                    name=row["name"],
                    price=float(row["price"]),
                    minimum=int(row["minimum"]),
                )
            )
    return articles


def save_stock(inventory: Inventory, path: Path) -> None:
    """Write the stock as JSON, sorted by article number."""
    with path.open("w") as file:
        json.dump(inventory.stock(), file, indent=2, sort_keys=True)


def load_stock(path: Path) -> dict[str, int]:
    """Read a stock that was written by ``save_stock``."""
    with path.open() as file:
        return json.load(file)


def cheapest(articles: list[Article]) -> Article:
    """The article with the lowest price."""
    return min(articles, key=lambda article: article.price)


def most_expensive(articles: list[Article]) -> Article:
    """The article with the highest price."""
    return max(articles, key=lambda article: article.price)
