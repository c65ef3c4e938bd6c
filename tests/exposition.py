"""Reads the text of a scrape."""

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """Each value by its name and its labels in order."""
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(text: str, name: str, **labels: str) -> float | None:
    """The value of one sample; None where there is none."""
    return samples(text).get((name, tuple(sorted(labels.items()))))


def families(text: str) -> set[str]:
    """The names of all metrics, with the suffix of counters."""
    names = set()
    for family in text_string_to_metric_families(text):
        names.add(f"{family.name}_total" if family.type == "counter" else family.name)
    return names
