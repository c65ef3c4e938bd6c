"""What a scrape has shown."""

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Each value by its name and its labels in order."""
    found = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in found for s in family.samples}


def value(text: str, name: str, **labels: str) -> float | None:
    """That of one sample; None where there is no such."""
    return samples(text).get((name, tuple(sorted(labels.items()))))


def families(text: str) -> set[str]:
    """The metrics by the names that their samples have, but for those of a histogram's parts."""
    found = set()
    for family in text_string_to_metric_families(text):
        found.add(f"{family.name}_total" if family.type == "counter" else family.name)
    return found
