"""The confusion matrix as cells of a table: their colours, and the addresses of their pictures."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from service.core.evaluation.scores import Scores, confused

SHADES = 5  # of a colour; style.css has as many
MOST_LINKS = 200  # cells of mistakes that lead to their pictures, those with most images first: keeps a page small


@dataclass(frozen=True)
class Cell:
    """`shade` is the class in style.css, empty for the palest mistakes; `address` leads to the pictures of the cell."""

    images: int
    shade: str
    address: str | None


def cells(scores: Scores, address: Callable[[int, int], str]) -> list[list[Cell]]:
    """The cells by label (row) and guess (column), coloured by their share of the images of the label."""
    linked = {(label, guess) for label, guess, _ in confused(scores.confusion, MOST_LINKS)}
    rows = []
    for label, counts in enumerate(scores.confusion.tolist()):
        support = sum(counts)
        rows.append(
            [
                Cell(
                    images,
                    _shade(images / support, label == guess) if images else "",
                    address(label, guess) if images and (label == guess or (label, guess) in linked) else None,
                )
                for guess, images in enumerate(counts)
            ]
        )
    return rows


def _shade(share: float, is_right: bool) -> str:
    level = math.ceil(share * SHADES)
    if is_right:
        return f"right-{level}"
    return f"wrong-{level}" if level > 1 else ""
