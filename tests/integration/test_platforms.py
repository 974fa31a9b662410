"""Snapshots of all entities of each platform."""

from datetime import UTC, datetime

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, snapshot_platform
from syrupy.assertion import SnapshotAssertion

import custom_components.iot_portal as integration
from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID
from .helpers import wait_for_sums


@pytest.fixture
async def entry(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    portal: MockPortal,
    account: dict[str, str],
    all_entities: None,
) -> MockConfigEntry:
    """Return an account that is not set up yet, with the documented SIM in the middle of a cycle."""
    freezer.move_to(datetime(2026, 11, 16, 12, tzinfo=UTC))
    portal.sims[ICCID].data_usage = 600_000_000
    portal.sims[ICCID].device["fixedIPAddress"] = "10.0.0.7"
    entry = MockConfigEntry(
        domain=DOMAIN,
        entry_id="01JD00000000000000000ACC0T",
        title="demo-client",
        data=account,
        unique_id="demo-client",
        subentries_data=[
            ConfigSubentryData(
                data={"iccid": ICCID}, subentry_type="sim", title="Router", unique_id=ICCID
            )
        ],
    )
    entry.add_to_hass(hass)
    return entry


@pytest.mark.parametrize("platform", integration.PLATFORMS)
async def test_entities(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    entry: MockConfigEntry,
    snapshot: SnapshotAssertion,
    platform: Platform,
) -> None:
    """The entities of a platform."""
    monkeypatch.setattr(integration, "PLATFORMS", [platform])
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await wait_for_sums(hass, freezer)
    if platform is Platform.SENSOR:
        # This entity is available once an SMS has been sent.
        sim = next(iter(entry.runtime_data.sims.values()))
        await sim.sms.async_send("Hello")
        await hass.async_block_till_done(wait_background_tasks=True)

    await snapshot_platform(hass, er.async_get(hass), snapshot, entry.entry_id)


async def test_devices(
    hass: HomeAssistant, entry: MockConfigEntry, snapshot: SnapshotAssertion
) -> None:
    """The devices of an account and a SIM."""
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)

    assert sorted(devices, key=lambda device: device.name or "") == snapshot
