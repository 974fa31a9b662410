"""The numbers and examples of docs/fleets.md are correct."""

from collections.abc import Iterator
from itertools import product
import json
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

from .grafana import ALL, DASHBOARD, PANELS, VARIABLE, VARIABLES
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


def queried(queries: str) -> list[tuple[str, list[str]]]:
    """Return the metric of each selector in queries, and the entities that it selects."""
    return [
        (
            metric,
            [
                entity_id
                for entity_id, told_in in EXPECTED_VALUES
                if told_in == metric and re.fullmatch(wanted, entity_id)
            ],
        )
        for metric, wanted in re.findall(
            r'(\w+)\{(?:instance=~"\$instance", )?entity=~"([^"]+)"\}', queries
        )
    ]


def cells_of(position: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Yield the cells of Grafana's grid that a panel covers, by column and row."""
    return product(
        range(position["x"], position["x"] + position["w"]),
        range(position["y"], position["y"] + position["h"]),
    )


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
    dashboard = [target["expr"] for panel in PANELS.values() for target in panel["targets"]]
    assert len(queried(TEXT)) == 5
    assert len(queried("\n".join(dashboard))) == 10
    for metric, entity_ids in queried("\n".join([TEXT, *dashboard])):
        assert entity_ids, metric
        assert all(exporter["filter"](entity_id) for entity_id in entity_ids)
        assert not any("all_sims" in entity_id for entity_id in entity_ids)
    assert not exporter["filter"]("sensor.boat_tracker_rate_plan")


def test_dashboard() -> None:
    """The page describes each panel, and the dashboard has what Grafana requires of a file that is imported."""
    table = TEXT.partition("| panel |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE) == list(PANELS)
    assert "id" not in DASHBOARD  # Grafana gives it one
    assert len({panel["id"] for panel in PANELS.values()}) == len(PANELS)
    cells = [cell for panel in PANELS.values() for cell in cells_of(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24


def test_dashboard_variables() -> None:
    """The dashboard uses only its own variables, and any Prometheus as its data source."""
    content = json.dumps(DASHBOARD)
    assert set(VARIABLE.findall(content)) == VARIABLES.keys()
    sources = content.count('"datasource": ')
    assert content.count('"datasource": {"type": "prometheus", "uid": "${datasource}"}') == sources
    assert VARIABLES["datasource"]["query"] == "prometheus"
    assert VARIABLES["instance"]["current"]["value"] == ALL
    sims = VARIABLES["sims"]
    assert [option["value"] for option in sims["options"]] == sims["query"].split(",")


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
