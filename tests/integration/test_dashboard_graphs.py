"""The graphs of the dashboard, with Home Assistant's recorder."""

from datetime import UTC, datetime
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.models import StatisticMeanType
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.iot_portal.dashboard import MAX_CARDS, async_generate
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import user_with


@pytest.fixture
def noon(freezer: FrozenDateTimeFactory) -> None:
    """Freeze the clocks in the middle of a billing cycle."""
    freezer.move_to(datetime(2026, 11, 16, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def integration(noon: None, recorder_mock: Recorder, integration: None) -> None:
    """Set up the recorder before Home Assistant, as required."""


async def view_of(hass: HomeAssistant) -> dict[str, Any]:
    """Return the view of the only account."""
    (view,) = (await async_generate(hass, "en", user_with(hass, {"all": True})))["views"]
    return dict(view)


async def import_statistics(hass: HomeAssistant, entity_id: str) -> None:
    """Import one hour of long-term statistics."""
    async_import_statistics(
        hass,
        {
            "has_sum": True,
            "mean_type": StatisticMeanType.NONE,
            "name": None,
            "source": "recorder",
            "statistic_id": entity_id,
            "unit_class": "information",
            "unit_of_measurement": "MB",
        },
        [{"start": datetime(2026, 11, 16, 11, tzinfo=UTC), "state": 1.0, "sum": 1.0}],
    )
    await async_wait_recording_done(hass)


async def test_no_statistics_yet(hass: HomeAssistant, set_up: SetUp) -> None:
    """Before there are statistics a text says when there will be graphs."""
    await set_up(ICCID, OTHER_ICCID)

    (_, usage) = (await view_of(hass))["sections"]

    assert [card["type"] for card in usage["cards"]] == ["heading", "markdown"]
    assert "about an hour after" in usage["cards"][1]["content"]


async def test_graphs(hass: HomeAssistant, set_up: SetUp) -> None:
    """As soon as one SIM has statistics there are graphs of all SIMs, by day and since the cycle began."""
    await set_up(ICCID, OTHER_ICCID)
    sensors = {f"sensor.sim_{iccid}_data_usage" for iccid in (ICCID, OTHER_ICCID)}
    await import_statistics(hass, min(sensors))

    (_, usage) = (await view_of(hass))["sections"]

    heading, days, cycle = usage["cards"]
    assert heading["heading"] == "Data usage"
    assert (days["title"], days["period"], days["stat_types"]) == ("Daily usage", "day", ["change"])
    assert (cycle["title"], cycle["stat_types"]) == ("This billing cycle", ["state"])
    assert cycle["days_to_show"] == 15
    for graph in (days, cycle):
        assert graph["type"] == "statistics-graph"
        assert {item["entity"] for item in graph["entities"]} == sensors


async def test_account_that_is_not_loaded(hass: HomeAssistant, set_up: SetUp) -> None:
    """Without its SIMs' settings the graph of the billing cycle shows a month."""
    entry = await set_up(ICCID)
    await import_statistics(hass, f"sensor.sim_{ICCID}_data_usage")
    await hass.config_entries.async_unload(entry.entry_id)

    (_, usage) = (await view_of(hass))["sections"]

    assert usage["cards"][2]["days_to_show"] == 31


async def test_many_sims(hass: HomeAssistant, set_up: SetUp) -> None:
    """With many SIMs the graphs are beside the list, and show those that have used the most."""
    sims = {f"89310823222{n:07d}0": {"data_usage": n * 10**6} for n in range(MAX_CARDS + 1)}
    async with MockPortal({"extends": "documented", "sims": sims}) as portal:
        await set_up(*sims, base_url=portal.url)
        least, *most = sims
        await import_statistics(hass, f"sensor.sim_{most[0]}_data_usage")
        view = await view_of(hass)

    assert len(view["sections"]) == 1
    _, *graphs = view["sidebar"]["sections"][0]["cards"]
    assert len(graphs) == 2
    for graph in graphs:
        assert [item["entity"] for item in graph["entities"]] == [
            f"sensor.sim_{iccid}_data_usage" for iccid in reversed(most)
        ]
    assert least not in str(graphs)
