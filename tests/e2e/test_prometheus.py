"""The metrics that a real Home Assistant process exports to Prometheus."""

import asyncio
from pathlib import Path
import time

from aiohttp.test_utils import unused_port
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
import pytest

from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

from .common import DOCUMENTED, WAIT, add_demo, complaints, read_again
from .metrics import (
    AVAILABLE,
    CHANGES,
    DATA_USAGE,
    EXPECTED_VALUES,
    GAUGES,
    MEGABYTES,
    OTHER_SIM_VALUES,
    STATUS,
    Values,
)

IN_SESSION = "8931082322204500034"
CONFIGURATION = """
config:
prometheus:
"""


class Scrape:
    """A response of Home Assistant to Prometheus."""

    def __init__(self, text: str) -> None:
        """Parse the text as Prometheus does."""
        self.families: dict[str, Metric] = {
            family.name: family for family in text_string_to_metric_families(text)
        }

    def samples(self, entity_id: str) -> dict[str, Sample]:
        """Return the samples of an entity by metric."""
        return {
            metric: sample
            for metric, family in self.families.items()
            for sample in family.samples
            if sample.labels.get("entity") == entity_id
        }

    def values(self, wanted: Values) -> Values:
        """Return the values of entities in metrics, None where a metric lacks them."""
        return {
            (entity_id, metric): getattr(self.samples(entity_id).get(metric), "value", None)
            for entity_id, metric in wanted
        }


async def scrape(hass: HomeAssistantProcess, wanted: Values) -> Scrape:
    """Scrape repeatedly until the wanted values are exported."""
    until = time.monotonic() + WAIT
    while (told := Scrape(await hass.text("/api/prometheus"))).values(wanted) != wanted:
        assert time.monotonic() < until, {
            key: value for key, value in told.values(wanted).items() if value != wanted[key]
        }
        await asyncio.sleep(0.2)
    return told


@pytest.mark.timeout(240)
async def test_metrics(tmp_path: Path, socket_enabled: None) -> None:
    """The portal's numbers are exported under these names, and unavailable SIMs are visible."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare(CONFIGURATION)
    async with MockPortal("demo") as portal, hass:
        portal.sims[IN_SESSION].data_usage = 602_931_200
        portal.sims[IN_SESSION].sms_usage = 7
        await add_demo(hass, portal, DOCUMENTED, IN_SESSION)

        told = await scrape(hass, EXPECTED_VALUES)
        assert {told.families[metric].type for metric in GAUGES} == {"gauge"}
        assert told.families[CHANGES].type == "counter"
        for sample in told.samples(DATA_USAGE).values():
            assert sample.labels == {
                "entity": DATA_USAGE,
                "domain": "sensor",
                "friendly_name": "Boat tracker Data usage",
            }
        # A status is text, so there is no metric of it.
        assert not [metric for metric in told.samples(STATUS) if "sensor" in metric]

        portal.faults.add("status", status=500, iccid=IN_SESSION)
        await read_again(hass, STATUS)
        await scrape(
            hass,
            {
                (STATUS, AVAILABLE): 0,
                (DATA_USAGE, AVAILABLE): 0,
                (DATA_USAGE, MEGABYTES): None,
                **OTHER_SIM_VALUES,
            },
        )
    assert not complaints(hass, "prometheus")
