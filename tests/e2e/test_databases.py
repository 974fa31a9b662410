"""The recorder with real database servers: states are stored and survive a restart."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import time
from typing import Any

from aiohttp.test_utils import unused_port
import pytest
from sqlalchemy import NullPool, bindparam, create_engine, text

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

from .common import DOCUMENTED, WAIT, add_demo, complaints, read_again, wait_for
from .databases import mariadb, postgresql
from .servers import PASSWORD

PUMP_HOUSE = "8931082322204500026"
DATA_USAGE = "sensor.pump_house_data_usage"
STATUS = "sensor.pangea_test_sim_status"
CONFIGURATION = """
config:
history:
recorder:
  db_url: {url}
  commit_interval: 1
"""
# Oldest first, with their attributes, which are stored once for equal sets.
KEPT = text("""
SELECT states_meta.entity_id, states.state, state_attributes.shared_attrs
FROM states JOIN states_meta USING (metadata_id) LEFT JOIN state_attributes USING (attributes_id)
WHERE states_meta.entity_id IN :entity_ids ORDER BY states.last_updated_ts
""").bindparams(bindparam("entity_ids", expanding=True))


@pytest.fixture(params=[postgresql, mariadb], ids=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, socket_enabled: None) -> Iterator[str]:
    """Run each database server, and return the URL of a database."""
    with request.param() as url:
        yield url


def read_kept(url: str, *entity_ids: str) -> dict[str, list[tuple[str, str | None]]]:
    """Return the stored states of entities with their units, oldest first."""
    kept: dict[str, list[tuple[str, str | None]]] = {entity_id: [] for entity_id in entity_ids}
    with create_engine(url, poolclass=NullPool).connect() as connection:
        for entity_id, state, attributes in connection.execute(KEPT, {"entity_ids": entity_ids}):
            unit = json.loads(attributes or "{}").get("unit_of_measurement")
            kept[entity_id].append((state, unit))
    return kept


async def wait_until_kept(url: str, wanted: dict[str, list[tuple[str, str | None]]]) -> None:
    """Wait until exactly these states of entities are stored."""
    until = time.monotonic() + WAIT
    while (kept := read_kept(url, *wanted)) != wanted:
        assert time.monotonic() < until, kept
        await asyncio.sleep(0.2)


async def statistics_of(hass: HomeAssistantProcess, entity_id: str) -> dict[str, Any]:
    """Return the statistics of an entity."""
    [known] = [
        item
        for item in await hass.command("recorder/list_statistic_ids")
        if item["statistic_id"] == entity_id
    ]
    return dict(known)


async def history_of(hass: HomeAssistantProcess, entity_id: str) -> list[str]:
    """Return the states of the last hour for the history page."""
    since = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    [states] = await hass.request(
        "GET", f"/api/history/period/{since}?filter_entity_id={entity_id}"
    )
    return [state["state"] for state in states]


@pytest.mark.timeout(300)
async def test_recorder(tmp_path: Path, database: str) -> None:
    """The states are stored with their units, and shown in the history after a restart."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare(CONFIGURATION.format(url=database))
    async with MockPortal("demo") as portal:
        async with hass:
            await add_demo(hass, portal, DOCUMENTED, PUMP_HOUSE)
            await wait_for(hass, PUMP_HOUSE, "data_usage", "480.0")
            await wait_for(hass, DOCUMENTED, "status", "inventory")

            portal.sims[PUMP_HOUSE].data_usage = 512_500_000
            portal.sims[DOCUMENTED].set_status("ACTIVATED")
            await read_again(hass, DATA_USAGE)
            await read_again(hass, STATUS)
            await wait_until_kept(
                database,
                {
                    DATA_USAGE: [("480.0", "MB"), ("512.5", "MB")],
                    STATUS: [("inventory", None), ("activated", None)],
                },
            )
            statistics = await statistics_of(hass, DATA_USAGE)
            assert statistics["has_sum"]
            assert statistics["statistics_unit_of_measurement"] == "MB"

        async with hass:
            await wait_for(hass, PUMP_HOUSE, "data_usage", "512.5")
            assert (await history_of(hass, DATA_USAGE))[:2] == ["480.0", "512.5"]
    assert not complaints(hass, "iot_portal", "recorder", "sqlalchemy")
    assert PASSWORD not in hass.log_file.read_text()
