"""The Grafana dashboard of the documentation, as Grafana runs it."""

import json
from pathlib import Path
import re
from typing import Any

from .prometheus import Prometheus, Samples

FILE = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}
VARIABLES: dict[str, dict[str, Any]] = {
    variable["name"]: variable for variable in DASHBOARD["templating"]["list"]
}
SIMS_SHOWN = int(VARIABLES["sims"]["current"]["value"])

ALL = ["$__all"]
# Not `$1`, which belongs to a query.
VARIABLE = re.compile(r"\$\{?([a-z]+)\}?")


def interpolate(text: str) -> str:
    """Return a text with the initial values of the dashboard's variables."""

    def value(match: re.Match[str]) -> str:
        variable = VARIABLES[match[1]]
        current = variable["current"]["value"]
        return str(variable["allValue"] if current == ALL else current)

    return VARIABLE.sub(value, text)


async def run_panel(prometheus: Prometheus, title: str) -> Samples:
    """Return what the query of a panel returns."""
    [target] = PANELS[title]["targets"]
    run = prometheus.query if target["instant"] else prometheus.query_range
    return await run(interpolate(target["expr"]))


def shown_columns(title: str, samples: Samples) -> list[str]:
    """Return the columns of a table in their order, as the panel names them."""
    [organize] = PANELS[title]["transformations"]
    options = organize["options"]
    columns = {"Time", "Value"}.union(*(labels for labels, _ in samples))
    shown = columns - options["excludeByName"].keys()
    return [options["renameByName"][name] for name in sorted(shown, key=options["indexByName"].get)]
