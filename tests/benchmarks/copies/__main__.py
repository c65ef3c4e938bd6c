"""`python -m tests.benchmarks.copies`: a table of the precision and recall of the search for copies, as Markdown."""

from tests.benchmarks.copies.changes import CHANGES
from tests.benchmarks.copies.measure import measure
from tests.benchmarks.copies.sets import SETS


def main() -> None:
    print(f"| set | images | precision | variants | {' | '.join(CHANGES)} |")
    print(f"|---|---|---|---|{'---|' * len(CHANGES)}")
    for name, make in SETS.items():
        measured = measure(make())
        variants = "" if measured.variants is None else f"{measured.variants:.2f}"
        recall = " | ".join(f"{share:.2f}" for share in measured.recall.values())
        print(f"| {name} | {measured.images:,} | {measured.precision:.2f} | {variants} | {recall} |", flush=True)


if __name__ == "__main__":
    main()
