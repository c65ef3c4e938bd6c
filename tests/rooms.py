"""`python -m tests.rooms`: the rooms of `service.core` and of `workers`, what each imports, and how deep the levels go.

A room is a direct child of the package, except `__main__`. An arrow says that some module of one room imports some
module of another. The level of a room is the longest chain of arrows below it. Rooms that import each other are
reported as a circle.
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("service.core", "workers")


def arrows(graph: grimp.ImportGraph, package: str) -> dict[str, set[str]]:
    """The rooms that each room of the package imports."""
    rooms = sorted(room for room in graph.find_children(package) if not room.endswith(".__main__"))
    return {
        room: {
            other
            for other in rooms
            if other != room and graph.direct_import_exists(importer=room, imported=other, as_packages=True)
        }
        for room in rooms
    }


def levels(imports: dict[str, set[str]]) -> dict[str, int]:
    """The level of each room, 1 for those that import no other. Raises CycleError where rooms import each other."""
    level: dict[str, int] = {}
    for room in TopologicalSorter(imports).static_order():
        level[room] = 1 + max((level[other] for other in imports[room]), default=0)
    return level


def report(graph: grimp.ImportGraph, package: str) -> str:
    """The rooms of the package, the highest level first, and the three numbers that sum them up."""
    imports = arrows(graph, package)
    try:
        level = levels(imports)
    except CycleError as error:
        return f"{package}: rooms in a circle: {' -> '.join(error.args[1])}"
    count = sum(map(len, imports.values()))
    lines = [f"{package}: {len(imports)} rooms, {count} arrows, {max(level.values())} levels"]
    for room in sorted(imports, key=lambda room: (-level[room], room)):
        names = ", ".join(sorted(other.removeprefix(f"{package}.") for other in imports[room]))
        lines.append(f"  {level[room]}  {room.removeprefix(f'{package}.'):<14} {names}".rstrip())
    return "\n".join(lines)


def main() -> None:
    graph = grimp.build_graph("service", "workers")
    sys.stdout.write("\n\n".join(report(graph, package) for package in PACKAGES) + "\n")


if __name__ == "__main__":
    main()
