"""A real Prometheus reads 100 SIMs from a real Home Assistant, and answers the queries of docs/fleets.md and of its dashboard."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
import re
from typing import Any

from aiohttp.test_utils import unused_port
import pytest
import yaml

from benchmarks import _fleet
from mock_portal import MockPortal
from scripts.hass_process import HomeAssistantProcess

from .common import complaints
from .grafana import PANELS, SIMS_SHOWN, run_panel, shown_columns
from .prometheus import HOST, TOKEN_FILE, Prometheus, Samples, running_prometheus

TEXT = (Path(__file__).parents[2] / "docs" / "fleets.md").read_text()

FLEET = _fleet.iccids(100)
NAMES = [f"SIM {iccid}" for iccid in FLEET]
PERCENT = 5 * 1024**2  # of 500 MB of 1,024 x 1,024 bytes
# In percent of the allowance. After six of ten days, the first ten are going to exceed it, and three of them have already.
USED = [120, 115, 110, 97, 94, 91, 88, 85, 82, 79, *(number / 2 for number in range(90))]
IN_SESSION = range(0, 100, 4)
# Two SIMs; if three in a row cannot be read, the portal counts as unreachable.
UNREADABLE = (20, 95)
READABLE = sorted({*range(100)} - {*UNREADABLE})
# In bytes.
GROWTH = {15: 2_000_000, 34: 500_000, 88: 1_500_000}
BYTES = [int(percent * PERCENT) + GROWTH.get(number, 0) for number, percent in enumerate(USED)]

SIMS_READ = """
count({__name__=~"homeassistant_(binary_)?sensor_.+", entity=~".+_(data_usage|allowance_used|data_session|projected_overage)"})
"""
USAGE = 'homeassistant_sensor_data_size_mb{entity=~"sensor[.].+_data_usage"}'


def example(key: str) -> dict[str, Any]:
    """Return the YAML example in docs/fleets.md that has a key."""
    blocks = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
    [wanted] = [dict(block) for block in blocks if key in block]
    return wanted


def scenario() -> dict[str, Any]:
    """Return the portal of the fleet."""
    return {
        "extends": "documented",
        "accounts": {"bench-0": {"secret_key": _fleet.SECRET_KEY, "api_token": "token"}},
        "sims": {
            iccid: {
                "status": "ACTIVATED",
                "data_usage": int(percent * PERCENT),
                "session_started": "-2h",
                **({} if number in IN_SESSION else {"session_ended": "-1h"}),
            }
            for number, (iccid, percent) in enumerate(zip(FLEET, USED, strict=True))
        },
    }


def account(portal: MockPortal) -> dict[str, Any]:
    """Return the account of the fleet, whose billing cycle of ten days began six days ago."""
    start = datetime.now(UTC).date() - timedelta(days=6)
    [entry] = _fleet.entries(portal.url, FLEET, _fleet.WIDE_OPEN)
    cycle = {"cycle_days": 10, "cycle_start": start.isoformat()}
    return entry | {"options": entry["options"] | cycle}


def expressions() -> list[str]:
    """Return the queries in docs/fleets.md."""
    blocks = re.findall(r"```promql\n(.*?)```", TEXT, re.DOTALL)
    return [query for block in blocks for query in re.split(r"\n(?=\w)", block.strip())]


@pytest.fixture
def port(socket_enabled: None) -> int:
    """Return the port of Home Assistant."""
    return unused_port()


@pytest.fixture
def prometheus(tmp_path: Path, port: int) -> Iterator[Prometheus]:
    """Run Prometheus as in docs/fleets.md, but it reads this Home Assistant, and every second."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    configuration = example("scrape_configs")
    [job] = configuration["scrape_configs"]
    job["scrape_interval"] = "1s"
    job["authorization"]["credentials_file"] = TOKEN_FILE
    job["static_configs"] = [{"targets": [f"{HOST}:{port}"]}]
    with running_prometheus(folder, configuration) as server:
        yield server


async def set_up(hass: HomeAssistantProcess, prometheus: Prometheus) -> None:
    """Give Prometheus its token, and wait until it has all values of all SIMs."""
    await hass.create_user("demo", "demo")
    token = await hass.command(
        "auth/long_lived_access_token", client_name="Prometheus", lifespan=365
    )
    prometheus.store_token(token)
    await prometheus.until(SIMS_READ, lambda samples: samples == [({}, 4 * len(FLEET))])


async def add_others(hass: HomeAssistantProcess, prometheus: Prometheus) -> None:
    """Add entities of other integrations with the same names, which are unavailable."""
    others = ("sensor.printer_status", "sensor.router_data_usage")
    for entity_id in others:
        await hass.request("POST", f"/api/states/{entity_id}", {"state": "unavailable"})
    pattern = "|".join(others)
    await prometheus.until(
        f'count(homeassistant_entity_available{{entity=~"{pattern}"}} == 0)',
        lambda samples: samples == [({}, len(others))],
    )


async def change(hass: HomeAssistantProcess, prometheus: Prometheus, portal: MockPortal) -> None:
    """Use data of some SIMs, make others unreadable, and wait until Prometheus has that."""
    for number, growth in GROWTH.items():
        portal.sims[FLEET[number]].data_usage += growth
    for number in UNREADABLE:
        portal.faults.add("status", status=500, iccid=FLEET[number])
    changed = [f"sensor.sim_{FLEET[number]}_status" for number in (*GROWTH, *UNREADABLE)]
    await hass.request("POST", "/api/services/homeassistant/update_entity", {"entity_id": changed})
    megabytes = pytest.approx(sum(BYTES[number] for number in READABLE) / 1e6)
    await prometheus.until(f"sum({USAGE})", lambda samples: samples[0][1] == megabytes)


def names(samples: Samples) -> list[str]:
    """Return the SIMs that a panel shows."""
    return [labels["sim"] for labels, _ in samples]


def by_name(samples: Samples) -> dict[str, float]:
    """Return the values that a panel shows by SIM."""
    return {labels["sim"]: value for labels, value in samples}


async def check_examples(prometheus: Prometheus) -> None:
    """Check the results of the queries in docs/fleets.md."""
    closest, used, in_session, unreadable = expressions()
    assert [labels["entity"] for labels, _ in await prometheus.query(closest)] == [
        f"sensor.sim_{iccid}_allowance_used" for iccid in FLEET[:10]
    ]
    assert await prometheus.query(in_session) == [
        ({}, len([number for number in IN_SESSION if number in READABLE]))
    ]
    assert await prometheus.query(unreadable) == [({}, len(UNREADABLE))]

    [(_, scrapes)] = await prometheus.query(f"min(count_over_time({USAGE}[1d]))")
    [(_, increase)] = await prometheus.query(used)
    growth = sum(GROWTH.values()) / 1e6
    # Prometheus extrapolates by up to about a scrape interval on each side.
    assert growth <= increase <= growth * (scrapes + 1) / (scrapes - 1)


async def check_dashboard(prometheus: Prometheus, port: int) -> None:
    """Check the results of the queries of the Grafana dashboard."""
    panels = {title: await run_panel(prometheus, title) for title in PANELS}
    attention = panels.pop("SIMs that need attention")
    allowance = panels.pop("Allowance used")
    usage = panels.pop("Data used in this billing cycle")
    overage = panels.pop("Projected overage")
    no_session = panels.pop("SIMs without a data session")
    assert not panels

    assert {labels["sim"]: labels["reason"] for labels, _ in attention} == {
        **dict.fromkeys(NAMES[:3], "Has exceeded its allowance"),
        **dict.fromkeys(NAMES[3:10], "Projected to exceed its allowance"),
        **{NAMES[number]: "Cannot be read at the moment" for number in UNREADABLE},
    }
    assert len(attention) == 10 + len(UNREADABLE)
    assert {labels["instance"] for labels, _ in attention} == {f"{HOST}:{port}"}

    most = sorted(READABLE, key=BYTES.__getitem__, reverse=True)[:SIMS_SHOWN]
    assert names(allowance) == [NAMES[number] for number in most]
    assert by_name(allowance) == pytest.approx(
        {NAMES[number]: BYTES[number] / PERCENT for number in most}
    )
    assert by_name(usage) == pytest.approx({NAMES[number]: BYTES[number] / 1e6 for number in most})
    assert names(overage) == NAMES[:10]
    assert by_name(overage) == pytest.approx(dict(zip(NAMES, USED[:10], strict=False)))
    assert sorted(names(no_session)) == [
        NAMES[number] for number in READABLE if number not in IN_SESSION
    ]

    assert shown_columns("SIMs that need attention", attention) == [
        "SIM",
        "Reason",
        "Home Assistant",
    ]
    assert shown_columns("Projected overage", overage) == [
        "SIM",
        "Allowance used",
        "Home Assistant",
    ]
    assert shown_columns("SIMs without a data session", no_session) == ["SIM", "Home Assistant"]


@pytest.mark.timeout(240)
async def test_queries(tmp_path: Path, port: int, prometheus: Prometheus) -> None:
    """The queries of the documentation and of the Grafana dashboard select the right SIMs."""
    hass = HomeAssistantProcess(tmp_path / "home-assistant", port=port)
    hass.prepare(yaml.safe_dump({"config": None, **example("prometheus")}))
    async with MockPortal(scenario()) as portal:
        hass.store("core.config_entries", 1, 5, {"entries": [account(portal)]})
        async with hass:
            await set_up(hass, prometheus)
            await add_others(hass, prometheus)
            assert await prometheus.query(expressions()[-1]) == []
            await change(hass, prometheus, portal)
            await check_examples(prometheus)
            await check_dashboard(prometheus, port)
            assert await prometheus.get(
                "label/instance/values", **{"match[]": "homeassistant_entity_available"}
            ) == [f"{HOST}:{port}"]
    assert not complaints(hass, "prometheus")
