"""What Home Assistant's exporter tells Prometheus of our SIMs, read from a real process."""

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

type Values = dict[tuple[str, str], float | None]

IN_SESSION = "8931082322204500034"
CONFIGURATION = """
config:
prometheus:
"""
MEGABYTES = "homeassistant_sensor_data_size_mb"
PERCENT = "homeassistant_sensor_unit_percent"
MESSAGES = "homeassistant_sensor_unit_messages"
SECONDS = "homeassistant_sensor_timestamp_seconds"
SIMS = "homeassistant_sensor_unit_sims"
ON = "homeassistant_binary_sensor_state"
AVAILABLE = "homeassistant_entity_available"
UPDATED = "homeassistant_last_updated_time_seconds"
# Its samples end in `_total`.
CHANGES = "homeassistant_state_change"
GAUGES = (MEGABYTES, PERCENT, MESSAGES, SECONDS, SIMS, ON, AVAILABLE, UPDATED)

DATA_USAGE = "sensor.boat_tracker_data_usage"
STATUS = "sensor.boat_tracker_status"
OF_THE_OTHER_SIM: Values = {
    ("sensor.pangea_test_sim_data_usage", MEGABYTES): 0,
    ("sensor.pangea_test_sim_data_used", PERCENT): 0,
    ("sensor.pangea_test_sim_sms_usage", MESSAGES): 0,
    ("sensor.pangea_test_sim_session_ended", SECONDS): 1692183007,
    ("binary_sensor.pangea_test_sim_in_session", ON): 0,
    ("binary_sensor.pangea_test_sim_in_session", AVAILABLE): 1,
}
TOLD: Values = {
    (DATA_USAGE, MEGABYTES): 612.3,
    (DATA_USAGE, AVAILABLE): 1,
    (STATUS, AVAILABLE): 1,
    ("sensor.boat_tracker_data_used", PERCENT): 122.46,
    ("sensor.boat_tracker_sms_usage", MESSAGES): 7,
    ("binary_sensor.boat_tracker_in_session", ON): 1,
    ("binary_sensor.boat_tracker_over_pace", ON): 1,
    **OF_THE_OTHER_SIM,
    ("sensor.demo_client_sims", SIMS): 2,
    ("sensor.demo_client_activated_sims", SIMS): 1,
    ("sensor.demo_client_data_usage_of_all_sims", MEGABYTES): 612.3,
    ("binary_sensor.demo_client_portal", ON): 1,
}


class Scrape:
    """What Home Assistant answers to Prometheus."""

    def __init__(self, text: str) -> None:
        """Read it as Prometheus does."""
        self.families: dict[str, Metric] = {
            family.name: family for family in text_string_to_metric_families(text)
        }

    def samples(self, entity_id: str) -> dict[str, Sample]:
        """Return what is told of an entity, by the metric."""
        return {
            metric: sample
            for metric, family in self.families.items()
            for sample in family.samples
            if sample.labels.get("entity") == entity_id
        }

    def values(self, wanted: Values) -> Values:
        """Return what is told of entities in metrics, None where they are not in it."""
        return {
            (entity_id, metric): getattr(self.samples(entity_id).get(metric), "value", None)
            for entity_id, metric in wanted
        }


async def scrape(hass: HomeAssistantProcess, wanted: Values) -> Scrape:
    """Do what Prometheus does, until it gets what is wanted."""
    until = time.monotonic() + WAIT
    while (told := Scrape(await hass.text("/api/prometheus"))).values(wanted) != wanted:
        assert time.monotonic() < until, told.values(wanted)
        await asyncio.sleep(0.2)
    return told


@pytest.mark.timeout(240)
async def test_metrics(tmp_path: Path, socket_enabled: None) -> None:
    """Prometheus gets the portal's numbers under these names, and sees which SIM is away."""
    hass = HomeAssistantProcess(tmp_path, port=unused_port())
    hass.prepare(CONFIGURATION)
    async with MockPortal("demo") as portal, hass:
        portal.sims[IN_SESSION].data_usage = 612_300_000
        portal.sims[IN_SESSION].sms_usage = 7
        await add_demo(hass, portal, DOCUMENTED, IN_SESSION)

        told = await scrape(hass, TOLD)
        assert {told.families[metric].type for metric in GAUGES} == {"gauge"}
        assert told.families[CHANGES].type == "counter"
        for sample in told.samples(DATA_USAGE).values():
            assert sample.labels == {
                "entity": DATA_USAGE,
                "domain": "sensor",
                "friendly_name": "Boat tracker Data usage",
            }
        # A status is a word, so there is no number of it.
        assert not [metric for metric in told.samples(STATUS) if "sensor" in metric]

        portal.faults.add("status", status=500, iccid=IN_SESSION)
        await read_again(hass, STATUS)
        await scrape(
            hass,
            {
                (STATUS, AVAILABLE): 0,
                (DATA_USAGE, AVAILABLE): 0,
                (DATA_USAGE, MEGABYTES): None,
                **OF_THE_OTHER_SIM,
            },
        )
    assert not complaints(hass, "prometheus")
