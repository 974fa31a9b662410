"""The action that changes the settings of many SIMs at once."""

from datetime import date
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.iot_portal import slices
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.models import SimSettings
from custom_components.iot_portal.sim_devices import SimDevices
from mock_portal import MockPortal
from mock_portal.sim import Sim

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import call_action, device_id, state_of

ALL_SETTINGS = {
    "allowance": 3,
    "billing_day": 15,
    "cycle_days": 28,
    "cycle_start": "2026-01-05",
    "data_unit": "bytes",
    "plan_unit": "decimal",
}


def settings_of(entry: MockConfigEntry, iccid: str) -> dict[str, Any]:
    """Return the stored settings of a SIM."""
    (subentry,) = [sub for sub in entry.subentries.values() if sub.unique_id == iccid]
    return {key: value for key, value in subentry.data.items() if key != "iccid"}


async def set_settings(
    hass: HomeAssistant, entry: MockConfigEntry, *iccids: str, **settings: Any
) -> Any:
    """Call the action for SIMs, and return the settings of each that it answers."""
    devices = [device_id(hass, entry, iccid) for iccid in iccids]
    answer = await call_action(hass, "set_sim_settings", {"device_id": devices, **settings})
    assert [(sim["device_id"], sim["iccid"]) for sim in answer["sims"]] == list(
        zip(devices, iccids, strict=True)
    )
    return [sim["settings"] for sim in answer["sims"]]


async def test_many_sims(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """All settings of several SIMs are changed at once, without a request or a reload."""
    entry = await set_up(ICCID, OTHER_ICCID)
    account = entry.runtime_data.account
    portal.journal.clear()

    answers = await set_settings(hass, entry, ICCID, OTHER_ICCID, **ALL_SETTINGS)

    assert answers == [ALL_SETTINGS, ALL_SETTINGS]
    for iccid in (ICCID, OTHER_ICCID):
        assert settings_of(entry, iccid) == ALL_SETTINGS
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 50
    assert len(portal.journal) == 0
    assert entry.runtime_data.account is account


async def test_applied_when_the_action_returns(hass: HomeAssistant, set_up: SetUp) -> None:
    """The next step of an automation finds the changed values."""
    entry = await set_up(OTHER_ICCID)
    data = {"device_id": device_id(hass, entry, OTHER_ICCID), "allowance": 3}

    await hass.services.async_call(
        DOMAIN, "set_sim_settings", {**data, "plan_unit": "decimal"}, blocking=True
    )

    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 50


async def test_details_of_an_account_not_loaded(hass: HomeAssistant, set_up: SetUp) -> None:
    """All details are not turned off while the account is not loaded, as the entities would remain."""
    entry = await set_up(OTHER_ICCID)
    await set_settings(hass, entry, OTHER_ICCID, all_details=True)
    await hass.config_entries.async_unload(entry.entry_id)

    for off in ({"all_details": False}, {"reset": ["all_details"]}):
        with pytest.raises(ServiceValidationError, match="not loaded"):
            await set_settings(hass, entry, OTHER_ICCID, **off)

    await set_settings(hass, entry, OTHER_ICCID, allowance=3)
    assert settings_of(entry, OTHER_ICCID) == {"allowance": 3, "all_details": True}


async def test_what_is_left_out_stays(hass: HomeAssistant, set_up: SetUp) -> None:
    """Only what is given or reset changes, and what a SIM is installed in is no setting of the action."""
    entry = await set_up(ICCID, OTHER_ICCID)
    (sim, _) = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry, sim, data={**sim.data, "installed_in": "gone", "allowance": 7, "billing_day": 3}
    )

    answers = await set_settings(
        hass, entry, ICCID, OTHER_ICCID, data_unit="kilobytes", reset=["billing_day"]
    )

    assert answers == [{"allowance": 7, "data_unit": "kilobytes"}, {"data_unit": "kilobytes"}]
    assert settings_of(entry, ICCID) == {**answers[0], "installed_in": "gone"}
    assert await set_settings(hass, entry, ICCID, reset="allowance") == [{"data_unit": "kilobytes"}]


async def test_reset(hass: HomeAssistant, set_up: SetUp) -> None:
    """Settings that are reset follow the portal and the account again."""
    entry = await set_up(OTHER_ICCID, options={"billing_day": 9})
    (sim,) = entry.runtime_data.sims.values()
    before = sim.data.settings
    await set_settings(hass, entry, OTHER_ICCID, **ALL_SETTINGS)
    assert sim.data.settings != before

    assert await set_settings(hass, entry, OTHER_ICCID, reset=list(ALL_SETTINGS)) == [{}]

    assert sim.data.settings == before
    assert before.billing_day == 9


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "no setting was given"),
        ({"reset": []}, "no setting was given"),
        ({"allowance": 5, "reset": ["allowance"]}, r"set and reset at the same time \(Allowance\)"),
        ({"cycle_days": 28}, f"SIM …{OTHER_ICCID[-4:]} would have only one of Cycle length"),
        ({"cycle_start": "2026-01-05"}, "would have only one of"),
        ({"reset": ["cycle_days"], "billing_day": 4}, f"SIM …{ICCID[-4:]} would have only one of"),
    ],
)
async def test_settings_that_do_not_fit(
    hass: HomeAssistant, set_up: SetUp, settings: dict[str, Any], says: str
) -> None:
    """If one SIM cannot have the settings, an error says why and none is changed."""
    entry = await set_up(ICCID, OTHER_ICCID)
    cycle = {"cycle_days": 30, "cycle_start": "2026-02-01"}
    await set_settings(hass, entry, ICCID, **cycle)

    with pytest.raises(ServiceValidationError, match=says):
        await set_settings(hass, entry, ICCID, OTHER_ICCID, **settings)

    assert settings_of(entry, ICCID) == cycle
    assert settings_of(entry, OTHER_ICCID) == {}


@pytest.mark.parametrize(
    "settings",
    [
        {"allowance": 0},
        {"allowance": 1e10},
        {"allowance": float("nan")},
        {"billing_day": 32},
        {"billing_day": float("nan")},
        {"cycle_days": 367},
        {"cycle_days": "many"},
        {"cycle_start": "5 January"},
        {"data_unit": "gigabytes"},
        {"plan_unit": 1024},
        {"reset": ["installed_in"]},
        {"installed_in": "a"},
    ],
)
async def test_invalid_settings(
    hass: HomeAssistant, set_up: SetUp, settings: dict[str, Any]
) -> None:
    """Values that the dialog refuses are refused, and numbers that are none."""
    entry = await set_up(ICCID)

    with pytest.raises(vol.Invalid):
        await set_settings(hass, entry, ICCID, **settings)

    assert settings_of(entry, ICCID) == {}


async def test_date_of_yaml(hass: HomeAssistant, set_up: SetUp) -> None:
    """A date and numbers as YAML and templates give them are stored as the dialog does."""
    entry = await set_up(ICCID)

    await set_settings(
        hass, entry, ICCID, cycle_start=date(2026, 1, 5), cycle_days="28", billing_day=2.0
    )

    assert settings_of(entry, ICCID) == {
        "cycle_start": "2026-01-05",
        "cycle_days": 28,
        "billing_day": 2,
    }


async def test_account_not_loaded(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The settings of SIMs whose account is not connected can be changed too."""
    entry = await set_up(OTHER_ICCID)
    await hass.config_entries.async_unload(entry.entry_id)

    await set_settings(hass, entry, OTHER_ICCID, allowance=3, plan_unit="decimal")

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 50


@pytest.mark.parametrize("slice_seconds", [3600, 0])
async def test_work_grows_with_the_number_of_sims(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    slice_seconds: float,
) -> None:
    """The settings of each SIM are looked at a few times, however many SIMs are changed or added together."""
    iccids = [str(int(OTHER_ICCID) + number) for number in range(20)]
    entry = await set_up()
    for iccid in iccids:
        portal.state.add_sim(Sim(iccid=iccid))
        hass.config_entries.async_add_subentry(entry, subentry_of(iccid))
    await hass.async_block_till_done(wait_background_tasks=True)
    looked_at = {"settings": 0, "devices": 0}
    from_options, update = SimSettings.from_options, SimDevices.async_update

    def count_settings(*args: Any) -> SimSettings:
        looked_at["settings"] += 1
        return from_options(*args)

    def count_devices(self: SimDevices, sim: ConfigSubentry) -> None:
        looked_at["devices"] += 1
        update(self, sim)

    monkeypatch.setattr(SimSettings, "from_options", count_settings)
    monkeypatch.setattr(SimDevices, "async_update", count_devices)
    monkeypatch.setattr(slices, "SLICE", slice_seconds)

    await set_settings(hass, entry, *iccids, allowance=3)
    await hass.async_block_till_done()

    # The action applies each change at once; then all SIMs are gone through once.
    assert looked_at == {"settings": 2 * len(iccids), "devices": len(iccids)}


def subentry_of(iccid: str) -> ConfigSubentry:
    """Return the subentry of a SIM."""
    return ConfigSubentry(
        data=MappingProxyType({"iccid": iccid}),
        subentry_type="sim",
        title=f"SIM {iccid}",
        unique_id=iccid,
    )
