"""The automatic space of a fit: by the images, the network of the recipe, and what the minutes can pay for."""

from typing import Any

from flask.testing import FlaskClient

from service.services import Services
from tests.pictures import folders, zipped
from tests.service.api.uploads import ready


def test_networks_are_as_wide_as_the_minutes_can_pay_for(client: FlaskClient, services: Services) -> None:
    dataset = ready(client, services, zipped(folders(each=30, side=64)))["id"]

    def networks(**budget: Any) -> list[list[int]]:
        answer = client.post("/v1/fits?validate_only=true", json={"dataset": {"id": dataset}, **budget})
        found: list[list[int]] = answer.json["space"]["/model/channels"]["choices"]
        return found

    few, many = networks(minutes=1), networks(minutes=600)
    assert [16, 32, 64, 128, 256] in few, "the network of the recipe is among them"
    assert [32, 64, 128, 256, 256] in many
    assert max(choice[0] for choice in few) < max(choice[0] for choice in many) == 96
    assert networks(jobs=20) == many
    assert max(map(len, many)) == 5
