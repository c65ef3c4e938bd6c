"""Data sets that were uploaded more than once: their files have the same SHA-256."""

from collections.abc import Sequence

from service.core.records.dataset import Dataset, DatasetStatus


def earlier_uploads(newest_first: Sequence[Dataset]) -> dict[str, Dataset]:
    """The first set of the same file, by the id of a set whose file was uploaded before. Failed sets are left out."""
    usable = [one for one in reversed(newest_first) if one.status is not DatasetStatus.FAILED and one.sha256]
    first: dict[str, Dataset] = {}
    for one in usable:
        first.setdefault(str(one.sha256), one)
    return {one.id: first[str(one.sha256)] for one in usable if first[str(one.sha256)] is not one}
