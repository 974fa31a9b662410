"""A benchmark in small: what a SIM of a large account costs, in numbers that do not depend on the machine.

`scripts/bench` measures times and memory. A number that has become smaller is to be lowered here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from mock_portal import MockPortal
from mock_portal.sim import Sim

from .conftest import SetUp
from .helpers import poll

PREFIX = "893108000000000"
FLEET = [f"{PREFIX}{number:04}" for number in range(200)]


@contextmanager
def counted(hass: HomeAssistant, portal: MockPortal) -> Iterator[dict[str, float]]:
    """Count requests, state changes and repeated states of the SIMs within the context; afterwards they are per SIM."""
    counter = {"requests": 0.0, "changes": 0.0, "reports": 0.0}
    portal.journal.clear()

    @callback
    def count(kind: str, data: Mapping[str, Any]) -> bool:
        """Count a state of a SIM, and reject the event, so that none is made."""
        counter[kind] += PREFIX in data["entity_id"]
        return False

    @callback
    def ignore(_: Event[Any]) -> None:
        """Do nothing; every event is rejected."""

    stops = [
        hass.bus.async_listen(event_type, ignore, event_filter=partial(count, kind))
        for event_type, kind in (
            (EVENT_STATE_CHANGED, "changes"),
            (EVENT_STATE_REPORTED, "reports"),
        )
    ]
    yield counter
    for stop in stops:
        stop()
    counter["requests"] = len(portal.journal)
    for kind in counter:
        counter[kind] /= len(FLEET)


async def test_costs_of_a_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """Requests and state writes of a poll, and registry entries, do not grow."""
    for iccid in FLEET:
        portal.state.add_sim(Sim(iccid=iccid, status="ACTIVATED", data_usage=1_500_000))
    portal.journal.clear()
    with counted(hass, portal) as first:
        entry = await set_up(*FLEET, options={"default_allowance": 100})
    # Usage, session and device; one more request is the log-in of the account.
    assert first["requests"] == 3 + 1 / len(FLEET)

    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert len([entity for entity in entities if entity.config_subentry_id]) == 9 * len(FLEET)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert len(devices) == len(FLEET) + 1

    await poll(hass, freezer)
    with counted(hass, portal) as idle:
        await poll(hass, freezer)
    assert idle == {"requests": 1, "changes": 0, "reports": 0}

    for iccid in FLEET:
        portal.sims[iccid].open_session()
    await poll(hass, freezer)
    for iccid in FLEET:
        portal.sims[iccid].data_usage += 1_000_000
    with counted(hass, portal) as active:
        await poll(hass, freezer)
    # Data usage and allowance used change; the other entities of the SIM show what they showed before.
    assert active == {"requests": 2, "changes": 2, "reports": 0}
