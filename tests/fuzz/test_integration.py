"""Whatever the portal, a user or the disk provides, no unexpected error is logged."""

from contextlib import suppress
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.json import json_bytes
from homeassistant.util.json import json_loads
from hypothesis import example, given, reject, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.config_flow import ENVIRONMENT_CUSTOM, ENVIRONMENTS
from custom_components.iot_portal.const import DOMAIN

from .conftest import Complaints, Run
from .fake_session import FakeSession
from .strategies import (
    ICCID,
    PENDING_WRITES,
    SNAPSHOTS,
    VALUES,
    Reply,
    examples,
    good_reply,
    replies,
    spoiled,
)

READ_ROUTES = ("ctdUsage", "sessionInfo", "GetDevice", "getStatus", "GetSMSIds", "GetSMS")
ADDRESSES = st.text(max_size=40) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS:", "//", "ftp://", "https://a@"]),
    st.sampled_from(["localhost", "[::1]", "127.0.0.1", "portal.example", "a..b", "[", "\u3002"])
    | st.text(max_size=20),
    st.sampled_from(["", "/api", ":99999", ":0", "?", "#", "/../..", "\r\nX: y"]),
)
FULLWIDTH = ICCID.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
SIMS = st.text(max_size=60) | st.lists(
    st.sampled_from([ICCID, f"{ICCID}0", "893108", FULLWIDTH])
    | st.text(" ,;\"'\n0123456789", max_size=25)
).map(" ".join)


def settle(hass: HomeAssistant, run: Run, complaints: Complaints) -> None:
    """Wait until nothing is in progress, and check that nothing was logged."""
    run(hass.async_block_till_done(wait_background_tasks=True))
    lines, complaints.lines = complaints.lines, []
    assert lines == []


def test_polls(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    run: Run,
    complaints: Complaints,
) -> None:
    """Whatever the portal answers to a poll, valid parts are shown and stored."""
    run(hass.config_entries.async_setup(entry.entry_id))
    settle(hass, run, complaints)
    answers = {route: replies(route) | st.just(good_reply(route)) for route in READ_ROUTES}

    @examples(0.6)
    @given(st.fixed_dictionaries(answers))
    def check(drawn: dict[str, Reply]) -> None:
        fake_session.replies = drawn
        (sim,) = entry.runtime_data.sims.values()
        sim.data = sim.data.invalidate()
        run(sim.async_refresh())
        settle(hass, run, complaints)
        run(hass.config_entries.async_reload(entry.entry_id))
        settle(hass, run, complaints)
        assert entry.state is ConfigEntryState.LOADED

    check()
    fake_session.replies = {}
    run(hass.config_entries.async_reload(entry.entry_id))
    settle(hass, run, complaints)
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{ICCID}_status")
    assert hass.states.is_state(entity_id or "", "inventory")


def test_writes(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    run: Run,
    complaints: Complaints,
) -> None:
    """Whatever the portal answers to a write, the action ends in a response or a translated error."""
    run(hass.config_entries.async_setup(entry.entry_id))
    settle(hass, run, complaints)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ICCID), entry.entry_id)
    assert device is not None
    sim = {"device_id": device.id}
    calls: dict[str, dict[str, Any]] = {
        "send_sms": sim | {"message": "Hello"},
        "request_status_change": sim | {"status": "activated"},
        "edit_device": sim | {"changes": {"simNotes": "Spare"}},
    }
    routes = ("SendSMS", "RequestStatusChange", "EditDevice")

    @examples(0.2)
    @given(
        st.sampled_from(sorted(calls)),
        st.fixed_dictionaries({route: replies(route) for route in routes}),
    )
    def check(action: str, drawn: dict[str, Reply]) -> None:
        fake_session.replies = drawn
        call = hass.services.async_call(
            DOMAIN,
            action,
            calls[action],
            blocking=True,
            return_response=True,
        )
        with suppress(HomeAssistantError):
            run(call)
        settle(hass, run, complaints)

    check()


async def finish(hass: HomeAssistant, flows: Any, result: Any) -> Any:
    """Wait for the end of a progress step and return the next step."""
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done(wait_background_tasks=True)
        result = await flows.async_configure(result["flow_id"])
    return result


def test_account_form(
    hass: HomeAssistant, fake_session: FakeSession, run: Run, complaints: Complaints
) -> None:
    """Whatever is entered for an account and answered to it, the result is an entry or a translated error."""
    flows = hass.config_entries.flow
    texts = st.text(max_size=30)
    sections = st.fixed_dictionaries({}, optional={"base_url": ADDRESSES, "api_token": texts})
    forms = st.fixed_dictionaries(
        {"environment": st.sampled_from([*ENVIRONMENTS, ENVIRONMENT_CUSTOM]), "other": sections},
        optional={"client_id": texts, "secret_key": texts},
    )

    async def fill_in(form: dict[str, Any]) -> None:
        result: Any = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
        result = await flows.async_configure(result["flow_id"], form)
        if result["type"] is FlowResultType.CREATE_ENTRY:
            await hass.config_entries.async_remove(result["result"].entry_id)
        else:
            assert result["type"] is FlowResultType.FORM
            assert result["errors"]["base"]
            flows.async_abort(result["flow_id"])

    @examples(0.3)
    @given(forms, replies("Login") | st.just(good_reply("Login")))
    def check(form: dict[str, Any], login: Reply) -> None:
        fake_session.replies = {"Login": login}
        run(fill_in(form))
        settle(hass, run, complaints)

    check()


def test_sim_form(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    run: Run,
    complaints: Complaints,
) -> None:
    """Whatever is pasted as ICCIDs and answered to them, the result is SIMs or a translated error."""
    run(hass.config_entries.async_setup(entry.entry_id))
    settle(hass, run, complaints)
    (first,) = entry.subentries
    flows = hass.config_entries.subentries

    async def paste(typed: str) -> None:
        if entry.state is not ConfigEntryState.LOADED:
            await hass.config_entries.async_reload(entry.entry_id)
        result = await flows.async_init((entry.entry_id, "sim"), context={"source": SOURCE_USER})
        result = await finish(
            hass, flows, await flows.async_configure(result["flow_id"], {"iccids": typed})
        )
        assert result["type"] is FlowResultType.FORM
        if result["step_id"] == "summary":
            shown = next(key for key in result["data_schema"].schema if key == "iccids")
            again = {"iccids": shown.description["suggested_value"]}
            result = await finish(
                hass, flows, await flows.async_configure(result["flow_id"], again)
            )
        assert result["type"] in {FlowResultType.CREATE_ENTRY, FlowResultType.FORM}
        if result["type"] is FlowResultType.FORM:
            flows.async_abort(result["flow_id"])
        for added in entry.subentries.keys() - {first}:
            hass.config_entries.async_remove_subentry(entry, added)

    @examples(0.2)
    @given(SIMS, replies("GetDevice") | st.just(good_reply("GetDevice")), replies("ctdUsage"))
    def check(typed: str, device: Reply, usage: Reply) -> None:
        fake_session.replies = {"GetDevice": device, "ctdUsage": usage}
        run(paste(typed))
        settle(hass, run, complaints)
        fake_session.replies = {}

    check()


def test_other_forms(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    run: Run,
    complaints: Complaints,
) -> None:
    """Whatever is entered as options of a SIM or as a new secret is usable, or refused by the form."""
    run(hass.config_entries.async_setup(entry.entry_id))
    settle(hass, run, complaints)
    (subentry,) = entry.subentries.values()
    subentries, flows = hass.config_entries.subentries, hass.config_entries.flow
    numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
    forms = st.fixed_dictionaries(
        {}, optional={"allowance": numbers, "billing_day": st.floats(1, 31) | numbers}
    )

    async def fill_in(form: dict[str, Any], secret: str) -> None:
        result: Any = await subentries.async_init(
            (entry.entry_id, "sim"),
            context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry.subentry_id},
        )
        try:
            await subentries.async_configure(result["flow_id"], form)
        except InvalidData:
            subentries.async_abort(result["flow_id"])
        await hass.async_block_till_done(wait_background_tasks=True)
        result = await entry.start_reauth_flow(hass)
        result = await flows.async_configure(result["flow_id"], {"secret_key": secret})
        if result["type"] is FlowResultType.FORM:
            flows.async_abort(result["flow_id"])

    @examples(0.2)
    @example({"allowance": 1.7e308}, "", good_reply("Login"))
    @given(forms, st.text(max_size=30), replies("Login") | st.just(good_reply("Login")))
    def check(form: dict[str, Any], secret: str, login: Reply) -> None:
        fake_session.replies = {"Login": login}
        run(fill_in(form, secret))
        settle(hass, run, complaints)
        fake_session.replies = {}

    check()


def test_files(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    run: Run,
    complaints: Complaints,
) -> None:
    """Whatever the stored files of an account contain, it starts and shows the portal's data."""
    pending_writes = spoiled(PENDING_WRITES) | VALUES
    # Dates at the limits are tested below.
    snapshots = spoiled(SNAPSHOTS) | VALUES
    versions = st.sampled_from([1, 1, 1, 2, 0, "1", None])

    @examples(0.4)
    @given(pending_writes, snapshots, versions, versions)
    def check(writes: Any, known: Any, writes_version: Any, snapshots_version: Any) -> None:
        key = f"{DOMAIN}.{entry.entry_id}"
        for name, version, data in (
            (key, writes_version, writes),
            (f"{key}.snapshots", snapshots_version, known),
        ):
            file = {"version": version, "minor_version": 1, "key": name, "data": data}
            try:
                hass_storage[name] = json_loads(json_bytes(file))
            except TypeError:
                # JSON cannot hold lone surrogates.
                reject()
        run(hass.config_entries.async_setup(entry.entry_id))
        settle(hass, run, complaints)
        assert entry.state is ConfigEntryState.LOADED
        entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"{ICCID}_status")
        assert hass.states.is_state(entity_id or "", "inventory")
        run(hass.config_entries.async_unload(entry.entry_id))
        settle(hass, run, complaints)

    check()


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59+00:00"])
async def test_ends_of_time(
    hass: HomeAssistant,
    fake_session: FakeSession,
    entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    complaints: Complaints,
    instant: str,
) -> None:
    """A stored time at the limits of datetime costs no more than a request."""
    key = f"{DOMAIN}.{entry.entry_id}.snapshots"
    data = {ICCID: SNAPSHOTS[ICCID] | {"device_read_at": instant}}
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": data}

    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert complaints.lines == []
    assert entry.runtime_data is not None
    (sim,) = entry.runtime_data.sims.values()
    assert sim.last_update_success
