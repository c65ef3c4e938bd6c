"""What a small job costs beside its training, part by part: `python -m tests.benchmarks.fixed_cost`.

Prints one line of JSON: milliseconds of each part, the median of the jobs.
"""

import argparse
import json

from tests.benchmarks.fixed_cost.measure import fixed_cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=7)
    given = parser.parse_args()
    print(
        json.dumps({"epochs": given.epochs, "jobs": given.jobs, "milliseconds": fixed_cost(given.epochs, given.jobs)})
    )


if __name__ == "__main__":
    main()
