"""The numbers and examples of docs/fleets.md are correct."""

from pathlib import Path
import re
from typing import Any

from homeassistant.components import influxdb, prometheus, recorder
from homeassistant.components.influxdb.const import COMPONENT_CONFIG_SCHEMA_CONNECTION
from homeassistant.helpers.entity_platform import MAX_ENABLED_ENTITIES_PER_CONFIG_ENTRY
from homeassistant.helpers.entityfilter import convert_include_exclude_filter
import yaml

from custom_components.iot_portal.account import UPDATE_DELAY
from custom_components.iot_portal.api.pacing import DEFAULT_RATE, Pacer
from custom_components.iot_portal.const import DEFAULT_POLL_INTERVAL
from custom_components.iot_portal.poll_schedule import PollSchedule

from .metrics import EXPECTED_VALUES, GAUGES, UPDATED

TEXT = (Path(__file__).parents[2] / "docs" / "fleets.md").read_text()
SCHEMAS = {
    "influxdb": influxdb.CONFIG_SCHEMA,
    "prometheus": prometheus.CONFIG_SCHEMA,
    "recorder": recorder.CONFIG_SCHEMA,
}


def rows(pattern: str) -> list[tuple[str, ...]]:
    """Return the cells of the table rows that match a pattern."""
    return [match.groups() for match in re.finditer(rf"^\| {pattern} \|", TEXT, re.MULTILINE)]


def whole(number: str) -> int:
    """Return the integer for a number with thousands separators."""
    return int(number.replace(",", ""))


def configurations() -> list[dict[str, Any]]:
    """Return the content of the document's YAML blocks."""
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


def validated(domain: str) -> list[dict[str, Any]]:
    """Return the examples for an integration of Home Assistant, validated by its schema."""
    return [
        SCHEMAS[domain](configuration)[domain]
        for configuration in configurations()
        if domain in configuration
    ]


def queried() -> list[tuple[str, list[str]]]:
    """Return the metric of each query, and the pattern of the entities that it selects."""
    return [
        (
            metric,
            [
                entity_id
                for entity_id, told_in in EXPECTED_VALUES
                if told_in == metric and re.fullmatch(wanted, entity_id)
            ],
        )
        for metric, wanted in re.findall(r'(\w+)\{entity=~"([^"]+)"\}', TEXT)
    ]


def minutes(sims: int, requests: int, rate: float) -> float:
    """Return the poll interval of an account with a number of SIMs."""
    schedule = PollSchedule(wanted=DEFAULT_POLL_INTERVAL * 60, pacer=Pacer(rate=rate))
    for number in range(sims):
        schedule.add(str(number))
        schedule.record_requests(str(number), requests)
    return schedule.interval / 60


def test_intervals() -> None:
    """The table of intervals follows from the formula."""
    table = [[whole(cell) for cell in row] for row in rows(r"([\d,]+)" + r" \| (\d+) min" * 4)]
    assert [row[0] for row in table] == [50, 100, 250, 500, 1000, 2000, 3000]
    for sims, *shown in table:
        assert shown == [
            minutes(sims, requests, rate) for rate in (DEFAULT_RATE, 1) for requests in (1, 2)
        ]


def test_limits() -> None:
    """The quoted limits are those of Home Assistant and the integration."""
    assert f"{MAX_ENABLED_ENTITIES_PER_CONFIG_ENTRY:,} enabled entities" in TEXT
    assert f"about {MAX_ENABLED_ENTITIES_PER_CONFIG_ENTRY // 9 // 100 * 100:,} SIMs" in TEXT
    assert f"by default every {DEFAULT_POLL_INTERVAL} minutes" in TEXT
    assert f"at most {DEFAULT_RATE:g} requests per second" in TEXT
    assert f"at most every {UPDATE_DELAY} seconds" in TEXT


def test_rows_a_day() -> None:
    """The number of rows that a thousand SIMs write a day is correct."""
    day = 24 * 60
    assert [whole(number) for (number,) in rows(r"st[^|]+ \| ([\d,]+)")] == [
        0,
        1000 * 2 * day // DEFAULT_POLL_INTERVAL,
        1000 * 2 * day // 5,
        1000 * 2 * day // 60,
    ]


def test_examples_are_valid() -> None:
    """Home Assistant accepts every example; only those for Prometheus itself are not checked here."""
    domains = [domain for configuration in configurations() for domain in configuration]
    assert set(domains) == {*SCHEMAS, "scrape_configs"}
    for domain in SCHEMAS:
        assert len(validated(domain)) == domains.count(domain)


def test_queries() -> None:
    """Every query selects SIMs in an exported metric, and the filter exports them."""
    [exporter] = validated("prometheus")
    assert len(queried()) == 4
    for metric, entity_ids in queried():
        assert entity_ids, metric
        assert all(exporter["filter"](entity_id) for entity_id in entity_ids)
        assert not any("all_sims" in entity_id for entity_id in entity_ids)
    assert not exporter["filter"]("sensor.boat_tracker_rate_plan")


def test_metrics() -> None:
    """The table names exactly the metrics that are exported for SIMs."""
    assert {metric for (metric,) in rows(r"`(homeassistant_\w+)`[^\n]*")} == {*GAUGES} - {UPDATED}


def test_recorder_keeps_what_it_says() -> None:
    """The recorder example excludes what it names, and keeps the data usage of each SIM."""
    [keeps] = [
        convert_include_exclude_filter(example)
        for example in validated("recorder")
        if "db_url" not in example
    ]
    assert keeps("sensor.boat_tracker_data_usage")
    assert keeps("sensor.boat_tracker_status")
    assert not keeps("sensor.boat_tracker_allowance_used")
    assert not keeps("sensor.boat_tracker_data_remaining")
    assert not keeps("sensor.demo_client_data_usage_of_all_sims")


def test_influxdb_is_told_no_address() -> None:
    """Home Assistant raises no repair issue for the InfluxDB example, as it configures no connection in YAML."""
    [example] = validated("influxdb")
    connection = {str(key.schema) for key in COMPONENT_CONFIG_SCHEMA_CONNECTION}
    assert {"host", "token", "bucket"} < connection
    assert not example.keys() & connection
