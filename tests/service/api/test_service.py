"""What belongs to the service and not to a resource: health, the API document, request ids, internal errors."""

from dataclasses import replace

from flask.testing import FlaskClient
from openapi_spec_validator import validate

from service.app import create_app
from service.core.settings import Settings
from service.services import Services
from tests.servers import ON_DISK, ON_DISK_FIRST, REMOTE, Postgresql
from tests.service.api.requests import expect_problem, submit


@ON_DISK_FIRST
def test_request_id_is_kept_if_it_is_a_plain_word(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    assert client.get("/livez", headers={"X-Request-Id": "a b"}).headers["X-Request-Id"] != "a b"


def test_healthy_process_is_ready(client: FlaskClient) -> None:
    assert client.get("/livez").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["database"], answer.json["workers"]) == (200, "ok", 0)


@ON_DISK
def test_process_with_unwritable_storage_is_not_ready(client: FlaskClient, services: Services) -> None:
    (services.settings.home / "storage").write_text("in the way")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


@ON_DISK_FIRST
def test_api_document_is_valid_and_names_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json or {}
    validate(document)
    assert document["openapi"].startswith("3.1")
    routes = {str(rule) for rule in client.application.url_map.iter_rules() if str(rule).startswith("/v1/")}
    documented = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    assert routes == documented
    operations = [
        op for path in document["paths"].values() for name, op in path.items() if name in ("get", "post", "delete")
    ]
    assert all(op.get("summary") for op in operations)


@ON_DISK_FIRST
def test_api_page_loads_nothing_from_other_hosts(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert b'href="/docs/index">Docs</a>' in page.data
    assert b"http://" not in page.data
    assert b"https://" not in page.data
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        with client.get(f"/docs/assets/{name}") as asset:
            assert asset.status_code == 200
            assert name.encode() in page.data


def test_internal_error_does_not_show_its_details(client: FlaskClient, services: Services) -> None:
    job = submit(client)
    with services.database.write() as c:
        c.exec_driver_sql("UPDATE jobs SET status = 'confused'")
    problem = expect_problem(client.get(f"/v1/jobs/{job['id']}"), 500)
    assert "confused" not in problem["detail"]


@REMOTE
def test_database_without_tables_is_unavailable(settings: Settings, postgresql_server: Postgresql) -> None:
    with postgresql_server.empty() as url:
        app = create_app(replace(settings, database_url=url))
        answer = app.test_client().get("/v1/jobs")
        assert expect_problem(answer, 503)["code"] == "database_unavailable"
        assert answer.headers["Retry-After"]
        app.extensions["rightfit"].database.close()
