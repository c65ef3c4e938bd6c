"""The table of tensors against the networks that workers build."""

import gzip

from service.core.spec.architectures import ARCHITECTURES, TORCHVISION
from service.core.spec.states import FILE, packed, state_shapes
from workers.tools.describe import state_of


def test_table_has_every_architecture() -> None:
    states = {arch: state_shapes(arch) for arch in ARCHITECTURES}
    assert all(known.stem in known.tensors and f"{known.head}.weight" in known.tensors for known in states.values())
    torchvisions = {arch: states[arch] for arch in TORCHVISION}
    assert gzip.decompress(packed(torchvisions)) == gzip.decompress(FILE.read_bytes())


def test_tensors_are_those_of_the_network_that_is_built() -> None:
    for arch in ("googlenet", "vit_b_32"):
        assert state_of(arch) == state_shapes(arch)
