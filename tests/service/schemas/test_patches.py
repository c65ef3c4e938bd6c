"""Patches of specs: any list of operations makes a spec or is refused."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.core.errors import Invalid
from service.core.spec import JobSpec
from service.core.spec.patch import patched, plain
from service.schemas.patches import read_spec
from tests.service.api.requests import SPEC

PLACES = st.sampled_from(
    ["", "/", "/epochs", "/model", "/model/channels/0", "/model/channels/-", "/labels/a~1b", "/~2"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": PLACES | st.text(max_size=4)},
    optional={"from": PLACES | st.text(max_size=4), "value": VALUES},
)


@hypothesis_settings(max_examples=150)
@given(st.lists(OPERATIONS, min_size=1, max_size=4))
def test_any_patch_makes_a_spec_or_raises_invalid(operations: list[dict[str, Any]]) -> None:
    base = plain(JobSpec.from_dict(SPEC))
    before = json.dumps(base)
    with suppress(Invalid):
        assert isinstance(read_spec(patched(base, operations)), JobSpec)
    assert json.dumps(base) == before
