"""`python -m deploy.validate` builds every overlay and validates it against the schemas, offline.

The validation is strict: an unknown field is an error, and so is a kind without a schema.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from kubernetes_validate.utils import SchemaNotFoundError, all_versions, schema_contents, validate
from referencing import Registry, Resource

KUBERNETES = Path(__file__).parent / "kubernetes"
OVERLAYS = tuple(sorted(path.parent for path in KUBERNETES.glob("overlays/*/kustomization.yaml")))
EXAMPLES = (KUBERNETES / "base" / "secrets.example.yaml",)
KEDA = KUBERNETES / "keda.schema.json"
KUBECTL = Path(sys.executable).parent / "kubectl"
VERSIONS = tuple(dict.fromkeys(all_versions()))[-3:]  # Kubernetes maintains three releases at a time

Manifest = dict[str, Any]


class Broken(Exception):
    """An overlay cannot be built, or a manifest is not valid."""


def built(folder: Path) -> list[Manifest]:
    """The manifests that `kubectl apply -k` would send. Raises Broken."""
    process = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    if process.returncode:
        raise Broken(process.stderr.strip())
    return documents(process.stdout)


def documents(text: str) -> list[Manifest]:
    """The documents of a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def check(manifest: Manifest) -> None:
    """Validate a manifest against the maintained Kubernetes releases, or against KEDA. Raises Broken."""
    try:
        if str(manifest["apiVersion"]).startswith("keda.sh/"):
            _check_keda(manifest)
            return
        for version in VERSIONS:
            validate(manifest, version, strict=True)
    except SchemaNotFoundError as error:
        raise Broken(f"{_name(manifest)}: {error.message}") from error
    except ValidationError as error:
        where = "/".join(map(str, error.absolute_path))
        raise Broken(f"{_name(manifest)}: /{where}: {error.message}") from error


def _check_keda(manifest: Manifest) -> None:
    validator = _keda_validator(manifest["kind"])
    if fault := best_match(validator.iter_errors(manifest)):
        raise fault


@cache
def _keda_validator(kind: str) -> Draft202012Validator:
    schema = json.loads(KEDA.read_text())
    if kind not in schema["$defs"]:
        raise SchemaNotFoundError(version=VERSIONS[-1], kind=kind, api_version="keda.sh")
    kubernetes_schema = schema_contents(f"kubernetes-json-schema/v{VERSIONS[-1]}-local-strict/_definitions.json", "")
    registry: Registry[Any] = Resource.from_contents(kubernetes_schema) @ Registry()
    return Draft202012Validator(schema | {"oneOf": [{"$ref": f"#/$defs/{kind}"}]}, registry=registry)


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest.get('metadata', {}).get('name', '')}"


def everything() -> Iterator[tuple[str, list[Manifest]]]:
    """Each overlay and each example: its path and its manifests. Raises Broken."""
    for folder in OVERLAYS:
        yield f"overlays/{folder.name}", built(folder)
    for file in EXAMPLES:
        yield file.name, documents(file.read_text())


def main() -> int:
    """Print the faults of each manifest; returns the exit status."""
    faults, seen = 0, set()
    for where, manifests in everything():
        for manifest in manifests:
            if (same := json.dumps(manifest)) in seen:
                continue
            seen.add(same)
            try:
                check(manifest)
            except Broken as error:
                faults += 1
                print(f"{where}: {error}", file=sys.stderr)
        print(f"{where}: {len(manifests)} manifests, Kubernetes {', '.join(VERSIONS)}")
    return int(faults > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        sys.exit(str(error))
