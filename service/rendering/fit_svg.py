"""The runs of a fit over time as dots of an SVG that a page draws in its own colours, with the best value so far."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from service.core.experiments.fits.progress import TRAININGS, ended_at
from service.core.records.fit import Fit, FitStep, StepKind
from service.core.text import MINUTE
from service.rendering.curves_svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick

Lowered = Callable[[float], float]  # FitRequest.lowered: with the sign that lower is better

TICKS = 4  # intervals of the vertical axis
LEAST_MINUTES = 0.01  # of the horizontal axis
IN_SECONDS = 2  # minutes; shorter axes are in seconds
MARGIN = 0.05  # of the range, above and below
OUTLIER = 4.0  # a worse value is drawn at the edge: this many times the distance from the best to the median


@dataclass(frozen=True)
class Dot:
    """A run with its place in the drawing. `rung` is first (paused or ended early), full or repeat."""

    run: int
    trial: int
    rung: str
    value: float
    x: float
    y: float


@dataclass(frozen=True)
class FitDrawing:
    """The runs of a fit in a frame of WIDTH x HEIGHT of curves_svg. `best` is the attribute `d` of the path of the best
    value so far, over the runs that are no repeats: these may have other validation images. `rungs` is that of lines
    from the first rung of each promoted trial to its end. `times` are labelled in minutes.
    """

    dots: tuple[Dot, ...]
    best: str
    rungs: str
    times: tuple[Tick, ...]
    values: tuple[Tick, ...]


def draw_fit(fit: Fit) -> FitDrawing | None:
    """The runs with a result, in the order in which they ended; None without one. Losses and shares."""
    lowered = fit.request.lowered
    steps = [step for step in fit.steps if step.kind in TRAININGS]
    known = [(number, step, _value(step)) for number, step in enumerate(steps, 1)]
    scored = [(number, step, lowered(value)) for number, step, value in known if value is not None]
    scored.sort(key=lambda run: ended_at(run[1]))
    if not scored:
        return None
    begun = fit.started_at or steps[0].at
    minutes = max((ended_at(scored[-1][1]) - begun) / MINUTE, LEAST_MINUTES)
    low, high = _range([value for _, _, value in scored], lowered)

    def x(minute: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(minute / minutes, 0.0), 1.0)

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    dots = tuple(
        Dot(number, step.trial or 0, _rung(step), value, x((ended_at(step) - begun) / MINUTE), y(value))
        for number, step, value in scored
    )
    levels = [low + (high - low) * at / TICKS for at in range(TICKS + 1)]
    return FitDrawing(
        dots,
        "".join(_best(dots, lowered)),
        "".join(_rungs(dots)),
        tuple(Tick(x(minutes * share), _time(share, minutes)) for share in (0.0, 0.5, 1.0)),
        tuple(Tick(y(level), f"{level:.3g}") for level in levels),
    )


def _time(share: float, minutes: float) -> str:
    """A share of some minutes, of short ones in seconds."""
    if minutes < IN_SECONDS:
        return f"{share * minutes * MINUTE:.3g} s"
    return f"{share * minutes:.2g} min"


def _rungs(dots: Sequence[Dot]) -> Iterator[str]:
    """A line for each trial that went on from its first rung."""
    first = {dot.trial: dot for dot in dots if dot.rung == "first"}
    for dot in dots:
        if dot.rung == "full" and (before := first.get(dot.trial)):
            yield f"M{before.x:.1f} {before.y:.1f}L{dot.x:.1f} {dot.y:.1f}"


def _value(step: FitStep) -> float | None:
    value: float | None = (step.outcome or {}).get("value")
    return value


def _rung(step: FitStep) -> str:
    if step.kind is StepKind.REPEAT:
        return "repeat"
    return "first" if step.until_epoch is not None else "full"


def _range(values: Sequence[float], lowered: Lowered) -> tuple[float, float]:
    """The lowest and the highest value of the axis."""
    lower_is_better = sorted(map(lowered, values))
    best, middle = lower_is_better[0], lower_is_better[len(values) // 2]
    worst = min(lower_is_better[-1], best + OUTLIER * (middle - best)) if middle > best else lower_is_better[-1]
    room = MARGIN * (worst - best) or MARGIN * abs(best) or MARGIN
    ends = (lowered(best - room), lowered(worst + room))
    return min(ends), max(ends)


def _best(dots: Sequence[Dot], lowered: Lowered) -> Iterator[str]:
    """The steps of the path: level until a better run, then on to it."""
    best: Dot | None = None
    for dot in dots:
        if dot.rung != "repeat" and (best is None or lowered(dot.value) < lowered(best.value)):
            yield f"M{dot.x:.1f} {dot.y:.1f}" if best is None else f"H{dot.x:.1f}V{dot.y:.1f}"
            best = dot
    if best is not None:
        yield f"H{dots[-1].x:.1f}"
