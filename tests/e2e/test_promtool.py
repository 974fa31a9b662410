"""The queries of docs/fleets.md and of its dashboard in rare cases, run by Prometheus' own test program."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re
import subprocess

from .grafana import PANELS, interpolate
from .servers import find_program

TEXT = (Path(__file__).parents[2] / "docs" / "fleets.md").read_text()

HERE, THERE = "192.168.1.10:8123", "192.168.1.11:8123"
ALLOWANCE_USED = "homeassistant_sensor_unit_percent"
IS_ON = "homeassistant_binary_sensor_state"
AVAILABLE = "homeassistant_entity_available"
# Two SIMs of the same name, one whose entity has a name of its own, and one in another Home Assistant.
VALUES = [
    (HERE, ALLOWANCE_USED, "sensor.tracker_allowance_used", "Tracker Allowance used", 120),
    (HERE, ALLOWANCE_USED, "sensor.tracker_2_allowance_used", "Tracker Allowance used", 130),
    (HERE, ALLOWANCE_USED, "sensor.boat_allowance_used", "Boat share", 101),
    (THERE, ALLOWANCE_USED, "sensor.tracker_allowance_used", "Tracker Allowance used", 50),
    (HERE, IS_ON, "binary_sensor.tracker_projected_overage", "Tracker Projected overage", 1),
    (HERE, IS_ON, "binary_sensor.tracker_2_projected_overage", "Tracker Projected overage", 1),
    (HERE, IS_ON, "binary_sensor.boat_projected_overage", "Boat Projected overage", 1),
    (THERE, IS_ON, "binary_sensor.tracker_projected_overage", "Tracker Projected overage", 0),
    (HERE, IS_ON, "binary_sensor.tracker_data_session", "Tracker Data session", 0),
    (HERE, IS_ON, "binary_sensor.tracker_2_data_session", "Tracker Data session", 0),
    (HERE, IS_ON, "binary_sensor.boat_data_session", "Boat Data session", 1),
    (HERE, AVAILABLE, "sensor.boat_data_usage", "Boat Data usage", 1),
    (THERE, AVAILABLE, "sensor.tracker_data_usage", "Tracker Data usage", 0),
    (THERE, AVAILABLE, "binary_sensor.tracker_projected_overage", "Tracker Projected overage", 0),
    # Not of a SIM.
    (HERE, AVAILABLE, "sensor.router_data_usage", "Router Data usage", 0),
    (HERE, AVAILABLE, "sensor.printer_status", "Printer Status", 0),
]
OVER = {"reason": "Has exceeded its allowance"}
UNREADABLE = {"reason": "Cannot be read at the moment"}
TRACKER = {"instance": HERE, "id": "tracker", "sim": "Tracker"}
TRACKER_2 = {"instance": HERE, "id": "tracker_2", "sim": "Tracker"}
BOAT = {"instance": HERE, "id": "boat", "sim": "Boat share"}
ELSEWHERE = {"instance": THERE, "id": "tracker", "sim": "Tracker"}
WANTED = {
    "SIMs that need attention": [
        (TRACKER | OVER, 120),
        (TRACKER_2 | OVER, 130),
        (BOAT | OVER, 101),
        (ELSEWHERE | UNREADABLE, 0),
    ],
    "Projected overage": [(TRACKER_2, 130), (TRACKER, 120), (BOAT, 101)],
    "SIMs without a data session": [
        ({"instance": HERE, "entity": f"binary_sensor.{sim}_data_session", "sim": "Tracker"}, 0)
        for sim in ("tracker", "tracker_2")
    ],
}


type Labels = dict[str, str]


def series(labels: Labels, metric: str = "") -> str:
    """Return a series as Prometheus writes it."""
    return metric + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def check(
    folder: Path, given: dict[str, str], expected: Mapping[str, Sequence[tuple[Labels, float]]]
) -> None:
    """Check the results of queries after a day of hourly values, which are given by series."""
    test = {
        "interval": "1h",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": "24h",
                "exp_samples": [
                    {"labels": series(labels), "value": value} for labels, value in samples
                ],
            }
            for query, samples in expected.items()
        ],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"tests": [test]}))
    promtool = find_program("promtool", "prometheus")
    result = subprocess.run(  # noqa: S603
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_equal_names(tmp_path: Path) -> None:
    """SIMs of equal names, in one Home Assistant or two, are shown one by one."""
    given = {
        series(
            {"instance": instance, "entity": entity, "friendly_name": name}, metric
        ): f"{value}x24"
        for instance, metric, entity, name, value in VALUES
    }
    expected = {
        interpolate(PANELS[title]["targets"][0]["expr"]): samples
        for title, samples in WANTED.items()
    }
    check(tmp_path, given, expected)


def test_new_billing_cycle(tmp_path: Path) -> None:
    """The data used in a day includes that of a billing cycle that began in it."""
    [query] = re.findall(r"^sum\(increase\(.*$", TEXT, re.MULTILINE)
    usage = series({"entity": "sensor.boat_data_usage"}, metric="homeassistant_sensor_data_size_mb")
    # Prometheus extrapolates, so the result is a little more.
    check(tmp_path, {usage: "400x12 30x12"}, {f"round({query}, 5)": [({}, 30)]})
