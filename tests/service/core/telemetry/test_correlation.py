"""The ids of a request and its trace."""

import pytest

from service.core.telemetry.correlation import trace_id, valid

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds", f"cc-{TRACE}-{SPAN}-01"),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-01x", None),
        (f" 00-{TRACE}-{SPAN}-01", None),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_a_traceparent_is_kept_where_it_is_one(header: str | None, kept: str | None) -> None:
    assert valid(header) == kept
    assert trace_id(header) == (TRACE if kept else None)
