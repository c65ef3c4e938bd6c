"""Objects that are kept in memory as long as there is room."""

from service.recent import Recent


def test_the_least_recently_used_values_make_room() -> None:
    recent = Recent[str](10)
    for key in "abc":
        recent.put(key, key.upper(), 3)
    assert recent.get("a") == "A"
    recent.put("d", "D", 3)
    assert [recent.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_a_value_without_room_leaves_the_others() -> None:
    recent = Recent[str](10)
    recent.put("a", "A", 6)
    recent.put("b", "B", 11)
    assert (recent.get("a"), recent.get("b")) == ("A", None)
    recent.put("a", "long", 11)
    assert recent.get("a") is None
    recent.put("c", "C", 10)
    assert recent.get("c") == "C"
