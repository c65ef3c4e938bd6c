"""Builds the overlays and finds objects in them."""

import copy
from collections.abc import Iterator
from typing import Any

from deploy import validate
from deploy.validate import KUBERNETES, OVERLAYS, Manifest
from service.core.settings import Settings
from tests.deploy import dockerfile

NAMES = [folder.name for folder in OVERLAYS]
SECRETS = KUBERNETES / "base" / "secrets.example.yaml"
_built: dict[str, list[Manifest]] = {}


def manifests(overlay: str) -> list[Manifest]:
    if overlay not in _built:
        _built[overlay] = validate.built(KUBERNETES / "overlays" / overlay)
    return copy.deepcopy(_built[overlay])


def one(overlay: str, kind: str, name: str) -> Manifest:
    (manifest,) = (m for m in manifests(overlay) if m["kind"] == kind and m["metadata"]["name"] == name)
    return manifest


def pods(overlay: str) -> Iterator[tuple[str, dict[str, Any], dict[str, str]]]:
    """The owner, specification and labels of each pod."""
    for manifest in manifests(overlay):
        if "template" in manifest.get("spec", {}):
            template = manifest["spec"]["template"]
            yield manifest["metadata"]["name"], template["spec"], template["metadata"]["labels"]


def container(overlay: str, name: str) -> dict[str, Any]:
    (only,) = (spec["containers"][0] for owner, spec, _ in pods(overlay) if owner == name)
    return dict(only)


def volume(overlay: str, name: str, of: str) -> dict[str, Any]:
    (spec,) = (spec for owner, spec, _ in pods(overlay) if owner == name)
    (directory,) = (v["emptyDir"] for v in spec["volumes"] if v["name"] == of)
    return dict(directory)


def secrets() -> dict[str, dict[str, str]]:
    """The keys and values of the example, by name of the secret."""
    return {m["metadata"]["name"]: m["stringData"] for m in validate.documents(SECRETS.read_text())}


def settings_of(overlay: str, name: str) -> Settings:
    """The settings that this container reads, with the secrets of the example."""
    target = "worker" if name == "rightfit-worker" else "api"
    return Settings.from_env(dockerfile.environment(target) | configured(overlay) | secrets()["rightfit-secrets"])


def configured(overlay: str) -> dict[str, str]:
    (data,) = (m["data"] for m in manifests(overlay) if m["kind"] == "ConfigMap")
    return dict(data)
