"""The compose files are valid and hardened, and match the images and settings."""

import subprocess
from pathlib import Path

import pytest
import yaml

from service.core.storage import S3_URL
from service.stack.standalone import refuse_open_door
from tests.deploy import dockerfile
from tests.deploy.compose import EXAMPLE, FOLDER, GPU, VARIABLE, services, settings_of
from tests.deploy.facts import BINARIES, GUNICORN_SECONDS, SETTINGS, VERSION, in_units, stopping_seconds
from tests.servers import ROOT

OURS, ONCE = ("api", "worker", "migrate"), ("migrate", "bucket")


def test_passwords_have_no_default_and_the_example_is_complete() -> None:
    used = [match for file in FOLDER.glob("*.yaml") for match in VARIABLE.findall(file.read_text())]
    assert {name for name, _, _ in used} == EXAMPLE.keys()
    needed = {name for name, how, _ in used if how == "?"}
    assert needed == {name for name, value in EXAMPLE.items() if not value}
    assert needed == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY"}
    assert all(EXAMPLE[name] == default for name, how, default in used if how == "-")


def test_git_ignores_the_file_with_the_passwords() -> None:
    assert "/deploy/compose/.env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", OURS)
def test_services_get_known_settings(name: str) -> None:
    service = services()[name]
    assert {key for key in service["environment"] if key.startswith("RIGHTFIT_")} <= SETTINGS
    settings = settings_of(name)
    assert settings.database_url == "postgresql://rightfit:secret@postgres:5432/rightfit"
    assert settings.redis_url == "redis://:secret@redis:6379/0"
    assert S3_URL.fullmatch(settings.storage_url)
    assert service["image"] == f"rightfit-{service['build']['target']}:{VERSION}"
    assert service["build"]["target"] in dockerfile.read()
    assert (FOLDER / service["build"]["context"] / "Dockerfile").exists()


def test_the_api_needs_keys_and_is_published_on_loopback_only() -> None:
    settings = settings_of("api")
    refuse_open_door(settings)
    assert settings.auth == "keys"
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert published == {"api": [f"127.0.0.1:8000:{settings.port}"]}


@pytest.mark.parametrize("name", services())
def test_a_container_can_write_only_to_its_volumes(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices"} & service.keys()
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")


def test_stateful_services_are_internal_and_use_named_volumes() -> None:
    whole = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    assert whole["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in services().items() if "outside" in service.get("networks", ())}
    assert outside == {"api", "worker"}
    mounted = {v.split(":")[0] for service in services().values() for v in service.get("volumes", ())}
    assert mounted == whole["volumes"].keys()
    for name in ("api", "worker"):
        home = dockerfile.environment(name)["RIGHTFIT_HOME"]
        assert [volume.split(":")[1] for volume in services()[name]["volumes"]] == [home]


def test_services_wait_for_dependencies_and_have_health_checks() -> None:
    by_name = services()
    stays = by_name.keys() - ONCE
    watched = {name for name in stays if "healthcheck" in by_name[name]} | {"api", "worker"}  # by their images
    assert watched == stays
    for service in by_name.values():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how == {"condition": expected}
    assert {"migrate", "redis", "s3"} == by_name["api"]["depends_on"].keys() == by_name["worker"]["depends_on"].keys()


def test_the_store_has_the_configured_bucket_and_key() -> None:
    by_name, api = services(), services()["api"]["environment"]
    bucket = S3_URL.fullmatch(api["RIGHTFIT_STORAGE_URL"])
    assert bucket
    assert by_name["bucket"]["entrypoint"][-1] == f"{by_name['s3']['command'][-1]}/{bucket[1]}"
    assert by_name["bucket"]["volumes"] == by_name["s3"]["volumes"]
    assert by_name["s3"]["environment"]["ROOT_ACCESS_KEY"] == api["AWS_ACCESS_KEY_ID"]
    assert by_name["s3"]["environment"]["ROOT_SECRET_KEY"] == api["AWS_SECRET_ACCESS_KEY"]


def test_services_have_enough_time_to_stop() -> None:
    needed = stopping_seconds(settings_of("worker").stop_seconds)
    assert in_units(services()["worker"]["stop_grace_period"]) > needed
    assert in_units(services(GPU)["worker"]["stop_grace_period"]) > needed
    assert in_units(services()["api"]["stop_grace_period"]) >= GUNICORN_SECONDS


def test_the_gpu_file_reserves_gpus_and_more_shared_memory() -> None:
    worker = services(GPU)["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "1", "capabilities": ["gpu"]}
    assert in_units(worker["shm_size"]) > in_units(services()["worker"]["shm_size"])
    assert services(GPU).keys() <= services().keys()


def test_an_invalid_compose_file_fails_the_check(tmp_path: Path) -> None:
    def passes(text: str) -> bool:
        (tmp_path / "compose.yaml").write_text(text)
        command = [str(BINARIES / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    text = (FOLDER / "compose.yaml").read_text()
    assert passes(text)
    assert not passes(text.replace("stop_grace_period", "stop_grace_time"))
