"""The queries of the Grafana dashboard tell SIMs apart whose names do not."""

import json
from pathlib import Path
import subprocess

from .grafana import PANELS, interpolate
from .servers import find_program

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
    # Not of a SIM.
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


def series(labels: dict[str, str]) -> str:
    """Return a series without a name as Prometheus writes it."""
    return "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def test_equal_names(tmp_path: Path) -> None:
    """SIMs of equal names, in one Home Assistant or two, are shown one by one."""
    promtool = find_program("promtool", "prometheus")
    test = {
        "interval": "1m",
        "input_series": [
            {
                "series": metric
                + series({"instance": instance, "entity": entity, "friendly_name": name}),
                "values": str(value),
            }
            for instance, metric, entity, name, value in VALUES
        ],
        "promql_expr_test": [
            {
                "expr": interpolate(PANELS[title]["targets"][0]["expr"]),
                "exp_samples": [
                    {"labels": series(labels), "value": value} for labels, value in wanted
                ],
            }
            for title, wanted in WANTED.items()
        ],
    }
    file = tmp_path / "test.yml"  # JSON is YAML
    file.write_text(json.dumps({"tests": [test]}))
    result = subprocess.run(  # noqa: S603
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
