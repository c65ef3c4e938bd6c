"""A small curve for tables, as the path of an SVG."""

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 96, 24, 2
FEWEST = 2  # points that make a line


def path(values: Sequence[float]) -> str:
    """The attribute `d` of a path through the values, scaled to WIDTH x HEIGHT; empty for fewer than two values."""
    if len(values) < FEWEST:
        return ""
    low, high = min(values), max(values)
    across, up = (WIDTH - 2 * EDGE) / (len(values) - 1), (HEIGHT - 2 * EDGE) / ((high - low) or 1.0)
    points = [f"{EDGE + at * across:.0f} {EDGE + (high - value) * up:.1f}" for at, value in enumerate(values)]
    return f"M{'L'.join(points)}"
