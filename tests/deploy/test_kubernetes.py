"""The built Kubernetes manifests are valid and restricted, and match the images, settings and times."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy import validate
from deploy.validate import KUBERNETES, Broken
from service.docs import FOLDER
from service.stack.standalone import refuse_open_door
from tests.deploy import compose, dockerfile
from tests.deploy.facts import GUNICORN_SECONDS, SETTINGS, VERSION, in_units, stopping_seconds
from tests.deploy.kubernetes import NAMES, configured, container, manifests, one, pods, secrets, settings_of, volume

UPLOADS_AT_ONCE = 8  # one in this many threads of the API accepts an upload
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
EVERY = pytest.mark.parametrize("overlay", NAMES)


def test_every_overlay_and_the_secrets_example_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert NAMES == ["cpu", "gpu", "keda"]
    assert validate.main() == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec/template/spec/containers/0/imagePullPolcy", "Always"),
        ("Deployment", "spec/replica", 2),
        ("Deployment", "spec/template/spec/terminationGracePeriodSeconds", "long"),
        ("NetworkPolicy", "spec/egresses", []),
        ("ScaledObject", "spec/minReplicas", 1),
        ("ScaledObject", "spec/triggers/0/metadata/queue", "hints"),
        ("ScaledObject", "spec/triggers/0/type", "redis"),
        ("ScaledObject", "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleDown/window", 600),
        ("TriggerAuthentication", "spec/secretTargetRef/0/namespace", "rightfit"),
        ("Deployment", "kind", "Deploiment"),
        ("ScaledObject", "kind", "ScaledThing"),
    ],
)
def test_an_invalid_manifest_fails_the_check(kind: str, path: str, value: object) -> None:
    manifest = next(m for m in manifests("keda") if m["kind"] == kind)
    validate.check(manifest)
    *way, last = path.split("/")
    place: Any = manifest
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    with pytest.raises(Broken, match=manifest["kind"]):
        validate.check(manifest)


def test_the_overlay_in_the_docs_builds_and_is_valid(tmp_path: Path) -> None:
    text = (FOLDER / "deploying.md").read_text("utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "rightfit").mkdir()
    shutil.copytree(KUBERNETES, tmp_path / "rightfit" / "deploy" / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(shown)
    built = validate.built(tmp_path)
    for manifest in built:
        validate.check(manifest)
    (settings,) = (m["data"] for m in built if m["kind"] == "ConfigMap")
    addresses = {"RIGHTFIT_STORAGE_URL": "s3://bucket/prefix", "AWS_ENDPOINT_URL": "http://s3.storage.svc:7070"}
    assert settings == configured("gpu") | addresses
    images = {m["spec"]["template"]["spec"]["containers"][0]["image"] for m in built if "template" in m.get("spec", ())}
    assert images == {f"registry.example/rightfit-{target}:{VERSION}" for target in ("api", "worker")}


@EVERY
def test_a_pod_is_restricted_and_writes_only_to_its_volumes(overlay: str) -> None:
    labels = one(overlay, "Namespace", "rightfit")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    all_pods = list(pods(overlay))
    assert len(all_pods) == 3
    for _, spec, _ in all_pods:
        user, group = map(int, dockerfile.last("api", "USER").words.split(":"))
        of_pod = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": group, "fsGroup": group}
        assert spec["securityContext"] == of_pod | {"seccompProfile": {"type": "RuntimeDefault"}}
        assert spec["automountServiceAccountToken"] is False
        (only,) = spec["containers"]
        assert only["securityContext"] == RESTRICTED
        mounted = {mount["mountPath"]: mount["name"] for mount in only["volumeMounts"]}
        home = dockerfile.environment("api")["RIGHTFIT_HOME"]
        assert {home, "/tmp"} <= mounted.keys() <= {home, "/tmp", "/dev/shm"}  # noqa: S108
        assert set(mounted.values()) == {volume["name"] for volume in spec["volumes"]}
        assert all("sizeLimit" in volume["emptyDir"] for volume in spec["volumes"])
        assert "memory" in only["resources"]["limits"]


@EVERY
def test_no_service_name_becomes_a_setting(overlay: str) -> None:
    """Service links would set variables such as RIGHTFIT_API_PORT."""
    assert all(spec["enableServiceLinks"] is False for _, spec, _ in pods(overlay))


@EVERY
def test_pods_run_the_images_of_this_version(overlay: str) -> None:
    images = {owner: spec["containers"][0]["image"] for owner, spec, _ in pods(overlay)}
    assert images == {
        "rightfit-api": f"rightfit-api:{VERSION}",
        "rightfit-worker": f"rightfit-worker:{VERSION}",
        "rightfit-migrate": f"rightfit-api:{VERSION}",
    }
    assert container(overlay, "rightfit-migrate")["command"] == compose.services()["migrate"]["command"]


@EVERY
def test_all_variables_are_known_settings_and_keys_are_required(overlay: str) -> None:
    set_here = configured(overlay).keys() | secrets()["rightfit-secrets"].keys()
    for _, spec, _ in pods(overlay):
        set_here |= {variable["name"] for variable in spec["containers"][0].get("env", ())}
    assert {name for name in set_here if name.startswith("RIGHTFIT_")} <= SETTINGS
    settings = settings_of(overlay, "rightfit-api")
    refuse_open_door(settings)
    assert settings.auth == "keys"
    assert settings.database_url.startswith("postgresql://")
    assert settings.storage_url.startswith("s3://")
    assert settings.redis_url


@EVERY
def test_all_references_exist(overlay: str) -> None:
    known = {m["metadata"]["name"] for m in manifests(overlay) if m["kind"] == "ConfigMap"}
    accounts = {m["metadata"]["name"] for m in manifests(overlay) if m["kind"] == "ServiceAccount"}
    for _, spec, _ in pods(overlay):
        assert spec.get("serviceAccountName", "rightfit-api") in accounts
        only = spec["containers"][0]
        for source in only["envFrom"]:
            assert source.get("configMapRef", {}).get("name", next(iter(known))) in known
            assert source.get("secretRef", {}).get("name", "rightfit-secrets") in secrets()
        for reference in (
            v["valueFrom"]["secretKeyRef"] for v in only.get("env", ()) if "secretKeyRef" in v.get("valueFrom", ())
        ):
            assert reference["key"] in secrets()[reference["name"]]


def test_passwords_are_only_in_the_example() -> None:
    for overlay in NAMES:
        assert "Secret" not in {m["kind"] for m in manifests(overlay)}
    assert not [
        path for path in KUBERNETES.rglob("*.yaml") if "PASSWORD" in path.read_text() and "example" not in path.name
    ]


def test_compose_and_kubernetes_agree() -> None:
    composed = compose.services()["worker"]["environment"]
    here = configured("cpu") | secrets()["rightfit-secrets"]
    assert composed.keys() <= here.keys() | {"AWS_ENDPOINT_URL"}, "which a cluster in a cloud has not"
    same = ("RIGHTFIT_LOG_FORMAT", "RIGHTFIT_METRICS_HOST", "RIGHTFIT_STORAGE_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID")
    assert {name: composed[name] for name in same} == {name: here[name] for name in same}


@EVERY
@pytest.mark.parametrize(("name", "target"), [("rightfit-api", "api"), ("rightfit-worker", "worker")])
def test_the_probes_use_the_port_of_the_image(overlay: str, name: str, target: str) -> None:
    only = container(overlay, name)
    (port,) = only["ports"]
    variable = {"api": "RIGHTFIT_PORT", "worker": "RIGHTFIT_METRICS_PORT"}[target]
    assert (
        str(port["containerPort"])
        == dockerfile.environment(target)[variable]
        == dockerfile.last(target, "EXPOSE").words
    )
    probes = {kind: probe["httpGet"] for kind, probe in only.items() if kind.endswith("Probe")}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert probes["livenessProbe"]["path"] == probes["startupProbe"]["path"] == "/livez"
    assert probes.get("readinessProbe", {}).get("path") == ("/readyz" if target == "api" else None)


@EVERY
def test_services_budgets_scalers_and_policies_match_pods(overlay: str) -> None:
    labels = {owner: given for owner, _, given in pods(overlay)}
    ports = {port["name"] for _, spec, _ in pods(overlay) for port in spec["containers"][0].get("ports", ())}
    for manifest in manifests(overlay):
        spec, kind = manifest.get("spec", {}), manifest["kind"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        selected = selector.get("matchLabels", {} if kind == "NetworkPolicy" else selector)
        assert any(selected.items() <= given.items() for given in labels.values()), manifest
        if kind == "Service":
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        if target := spec.get("scaleTargetRef"):
            assert one(overlay, "Deployment", target["name"])
        for rule in spec.get("ingress", ()) if kind == "NetworkPolicy" else ():
            assert {port["port"] for port in rule["ports"]} <= ports


@EVERY
def test_network_policies_allow_only_named_peers_and_ports(overlay: str) -> None:
    denied = one(overlay, "NetworkPolicy", "default-deny")["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in (m["spec"] for m in manifests(overlay) if m["kind"] == "NetworkPolicy"):
        rules = [*policy.get("ingress", ()), *policy.get("egress", ())]
        assert all(rule["ports"] for rule in rules)
        assert all(rule["from"] for rule in policy.get("ingress", ()))
    reached = {
        p["port"] for r in one(overlay, "NetworkPolicy", "rightfit-migrate")["spec"]["egress"] for p in r["ports"]
    }
    assert reached == {5432}


@EVERY
def test_pods_have_enough_time_to_stop(overlay: str) -> None:
    grace = {owner: float(spec.get("terminationGracePeriodSeconds", 0)) for owner, spec, _ in pods(overlay)}
    assert grace["rightfit-worker"] > stopping_seconds(settings_of(overlay, "rightfit-worker").stop_seconds)
    waits = container(overlay, "rightfit-api")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert grace["rightfit-api"] >= waits + GUNICORN_SECONDS


@EVERY
def test_volumes_hold_the_largest_data_that_settings_allow(overlay: str) -> None:
    api, worker = settings_of(overlay, "rightfit-api"), settings_of(overlay, "rightfit-worker")
    uploads = api.max_upload_bytes * api.api_threads // UPLOADS_AT_ONCE * api.api_processes
    assert in_units(volume(overlay, "rightfit-api", "home")["sizeLimit"]) >= uploads
    kept = worker.cache_bytes + worker.max_dataset_bytes + worker.max_upload_bytes
    assert in_units(volume(overlay, "rightfit-worker", "home")["sizeLimit"]) >= kept


def test_gpu_overlays_give_a_worker_one_gpu_and_shared_memory() -> None:
    for overlay, size in (("cpu", "1Gi"), ("gpu", "8Gi"), ("keda", "8Gi")):
        only, shared = container(overlay, "rightfit-worker"), volume(overlay, "rightfit-worker", "shm")
        assert shared == {"medium": "Memory", "sizeLimit": size}
        assert in_units(only["resources"]["limits"]["memory"]) >= 4 * in_units(size), "it counts as memory"
        assert only["resources"]["limits"].get("nvidia.com/gpu") == (None if overlay == "cpu" else "1")
        threads = next(variable for variable in only["env"] if variable["name"] == "RIGHTFIT_THREADS")
        assert threads["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
        assert only["resources"]["limits"]["cpu"] == only["resources"]["requests"]["cpu"]
    (spec,) = (spec for owner, spec, _ in pods("gpu") if owner == "rightfit-worker")
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_replicas_are_set_in_one_place() -> None:
    assert "replicas" not in one("cpu", "Deployment", "rightfit-api")["spec"]
    counts = {overlay: one(overlay, "Deployment", "rightfit-worker")["spec"].get("replicas") for overlay in NAMES}
    assert counts == {"cpu": 2, "gpu": 1, "keda": None}
    scaler = one("cpu", "HorizontalPodAutoscaler", "rightfit-api")["spec"]
    assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]
