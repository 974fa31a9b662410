"""The dialogs: every error is shown, keeps the input, and can be corrected."""

import asyncio
from collections import Counter
from datetime import date, timedelta
import re
import time
from types import MappingProxyType
from typing import Any

from aiohttp import FormData, web
from aiohttp.test_utils import unused_port
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
    ConfigSubentry,
)
from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE,
    EVENT_DATA_ENTRY_FLOW_PROGRESSED,
    FlowResultType,
)
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
from homeassistant.util import slugify
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from trustme import CA

from custom_components.iot_portal import account, client_factory, sim_flow
from custom_components.iot_portal.api.pacing import Pacer
from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal
from mock_portal.sim import Sim
from tests.common import ADDRESSES_WITH_SECRETS, UNUSABLE_ADDRESSES, serving
from tests.tls import BAD_CERTIFICATES

from .conftest import ICCID, OTHER_ICCID, UNKNOWN_ICCID, SetUp
from .helpers import (
    add_sims,
    call_action,
    check_sims,
    confirm_sims,
    device_id,
    exists,
    open_sim_dialog,
    sims_field,
    state_of,
    submit_sim_form,
    submit_sim_form_to_end,
    wait_for_requests,
    wait_for_sums,
)


def account_form(portal: MockPortal, **changes: str) -> dict[str, Any]:
    """Return the input for an account at the mock portal."""
    fields = {
        "environment": "custom",
        "client_id": "demo-client",
        "secret_key": "demo-secret",
        "base_url": portal.url,
        "api_token": "",
    } | changes
    other = {key: fields.pop(key) for key in ("base_url", "api_token") if fields.get(key)}
    return {key: value for key, value in fields.items() if value} | {"other": other}


async def start(hass: HomeAssistant) -> Any:
    """Open the dialog for a new account."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {}
    return result


async def error_text(hass: HomeAssistant, result: Any, flow: str) -> str:
    """Return the error of a form as a user reads it."""
    texts = await async_get_translations(hass, "en", flow, [DOMAIN])
    (error,) = result["errors"].values()
    prefix = f"component.{DOMAIN}.{flow}." + ("sim." if flow == "config_subentries" else "")
    text = texts[f"{prefix}error.{error}"].format(**result["description_placeholders"])
    assert "{" not in text
    return text


async def test_account(hass: HomeAssistant, portal: MockPortal) -> None:
    """An account that can log in is added, and the dialog for its SIMs follows."""
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(result["flow_id"], account_form(portal))

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "IoT Portal"
    assert result["data"] == {
        "base_url": portal.url,
        "client_id": "demo-client",
        "secret_key": "demo-secret",
        "default_title": "IoT Portal",
    }
    _, flow_id = result["next_flow"]
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_account_with_api_token(hass: HomeAssistant, portal: MockPortal) -> None:
    """An API token is enough; the entry's unique ID is its fingerprint, not the token."""
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"],
        account_form(portal, client_id="", secret_key="", api_token="demo-token"),
    )

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "IoT Portal"
    assert result["data"] == {
        "base_url": portal.url,
        "api_token": "demo-token",
        "default_title": "IoT Portal",
    }
    assert "demo-token" not in (result["result"].unique_id or "")


async def add_account(hass: HomeAssistant, portal: MockPortal, **changes: str) -> Any:
    """Add an account as a user does, and return its entry."""
    form = account_form(portal, **changes)
    result = await hass.config_entries.flow.async_configure((await start(hass))["flow_id"], form)
    await hass.async_block_till_done(wait_background_tasks=True)
    return result["result"]


async def test_named_account(hass: HomeAssistant, portal: MockPortal) -> None:
    """An account has the name that the user gives it, whatever the portal reports."""
    entry = await add_account(hass, portal, name=" Pumps ")
    assert entry.title == "Pumps"

    await add_sims(hass, entry.entry_id, ICCID)

    assert entry.title == "Pumps"
    assert "default_title" not in entry.data


@pytest.mark.parametrize(
    ("reported", "title"),
    [
        ({"customer": "Anna's farm", "accountId": "123"}, "Anna's farm"),
        ({"customer": None, "accountId": "123"}, "IoT Portal 123"),
        ({"customer": "demo-client", "accountId": "100096903"}, "IoT Portal …6903"),
        ({"customer": "+31 97 0000 4711", "accountId": "demo-client"}, "IoT Portal"),
        ({"customer": "", "accountId": None}, "IoT Portal"),
    ],
)
async def test_unnamed_account(
    hass: HomeAssistant, portal: MockPortal, reported: dict[str, Any], title: str
) -> None:
    """An account without a name is called what the portal reports of the first SIM, never by its client ID."""
    portal.sims[OTHER_ICCID].device.update(reported)
    entry = await add_account(hass, portal)
    assert entry.title == "IoT Portal"

    await add_sims(hass, entry.entry_id, OTHER_ICCID)

    assert entry.title == title
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert device is not None
    assert device.name == title
    # Only once: the user may give it the first name again.
    hass.config_entries.async_update_entry(entry, title="IoT Portal")
    portal.sims[ICCID].device["customer"] = "Another customer"
    if title != "IoT Portal":
        await add_sims(hass, entry.entry_id, ICCID)
        assert entry.title == "IoT Portal"


async def test_unnamed_account_renamed(hass: HomeAssistant, portal: MockPortal) -> None:
    """An account that was renamed in Home Assistant keeps that name, and so does its device."""
    entry = await add_account(hass, portal)
    hass.config_entries.async_update_entry(entry, title="Pumps")
    await hass.async_block_till_done()

    await add_sims(hass, entry.entry_id, ICCID)

    assert entry.title == "Pumps"
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert device is not None
    assert device.name == "Pumps"


async def test_two_unnamed_accounts(hass: HomeAssistant, portal: MockPortal) -> None:
    """Accounts without a name have different titles, also those of the same customer."""
    apiv2 = portal.url.removesuffix("/api") + "/apiv2"
    for iccid in (ICCID, OTHER_ICCID):
        portal.sims[iccid].device["customer"] = "Anna"
    first = await add_account(hass, portal)
    second = await add_account(hass, portal, base_url=apiv2)
    assert (first.title, second.title) == ("IoT Portal", "IoT Portal 2")

    await add_sims(hass, first.entry_id, ICCID)
    await add_sims(hass, second.entry_id, OTHER_ICCID)

    assert (first.title, second.title) == ("Anna", "Anna 2")


async def test_name_in_the_form_of_an_account(hass: HomeAssistant, portal: MockPortal) -> None:
    """The form shows the name, and an account whose name is removed is named by the portal again."""
    entry = await add_account(hass, portal)

    async def reconfigure(name: str) -> Any:
        result: Any = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
        )
        (shown,) = [key for key in result["data_schema"].schema if key == "name"]
        form = account_form(portal, name=name)
        await hass.config_entries.flow.async_configure(result["flow_id"], form)
        await hass.async_block_till_done(wait_background_tasks=True)
        return shown.description["suggested_value"]

    assert await reconfigure("Pumps") is None
    assert entry.title == "Pumps"
    await add_sims(hass, entry.entry_id, ICCID)
    assert await reconfigure("") == "Pumps"
    assert entry.title == "#8941 Pangea Retired"
    assert await reconfigure("") == "#8941 Pangea Retired"


@pytest.mark.parametrize(
    ("environment", "base_url"),
    [
        ("production", "https://api.iotportal.io/api"),
        ("uat", "https://uat.api.iotportal.io/apiv2"),
    ],
)
async def test_environments(
    hass: HomeAssistant,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    base_url: str,
) -> None:
    """The two published environments need no address."""
    tried: list[str] = []

    async def login(self: Any) -> None:
        tried.append(str(self._base_url))

    monkeypatch.setattr("custom_components.iot_portal.api.IotPortalClient.login", login)
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], account_form(portal, environment=environment, base_url="")
    )

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["base_url"] == base_url
    assert tried[0] == base_url


@pytest.mark.parametrize(
    ("changes", "fault", "says"),
    [
        ({"secret_key": "wrong"}, None, "refused these credentials"),
        ({"client_id": "wrong"}, None, "refused these credentials"),
        ({"base_url": "gone"}, None, "could not be reached"),
        ({"base_url": ""}, None, "Enter a valid custom address"),
        ({"base_url": "ftp://example.com"}, None, "Enter a valid custom address"),
        ({"base_url": "http://me@example.com"}, None, "without a user name"),
        ({"base_url": "http://[broken"}, None, "Enter a valid custom address"),
        ({"base_url": "https://a..b/api"}, None, "Enter a valid custom address"),
        ({"base_url": "http://example.com/api"}, None, "would be sent unencrypted"),
        ({"secret_key": ""}, None, "Enter the client ID and the secret key"),
        ({"api_token": "demo-token"}, None, "not both"),
        ({}, {"kind": "status", "status": 500}, "answered with an error (HTTP status 500)"),
        ({}, {"kind": "rate_limited"}, "receiving too many requests"),
        ({}, {"kind": "status", "status": 200, "body": "<html>Hi</html>"}, "check its address"),
    ],
)
async def test_account_errors(
    hass: HomeAssistant,
    portal: MockPortal,
    changes: dict[str, str],
    fault: dict[str, Any] | None,
    says: str,
) -> None:
    """Each error says what to do, keeps the input, and can be corrected."""
    if changes.get("base_url") == "gone":
        changes = {"base_url": f"http://127.0.0.1:{unused_port()}/api"}
    if fault is not None:
        portal.faults.add(route="Login", **fault)
    form = account_form(portal, **changes)
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(result["flow_id"], form)

    assert result["type"] is FlowResultType.FORM
    assert says in await error_text(hass, result, "config")
    assert result["data_schema"] is not None
    suggested = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert suggested.get("client_id") == form.get("client_id")

    portal.faults.clear()
    result = await hass.config_entries.flow.async_configure(result["flow_id"], account_form(portal))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("name", ["self-signed", "unknown authority"])
async def test_bad_certificate(hass: HomeAssistant, name: str) -> None:
    """A portal with an invalid certificate is refused, and the form says why."""
    make, _, says = BAD_CERTIFICATES[name]
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.json_response({"data": {"token": "abc"}})

    # The server logs the refused handshake, which is no failure of Home Assistant.
    hass.loop.set_exception_handler(None)
    tls = await hass.async_add_executor_job(make, CA())
    async with serving(handle, tls=tls) as url:
        form = {"environment": "custom", "client_id": "a", "secret_key": "b"}
        result = await hass.config_entries.flow.async_configure(
            (await start(hass))["flow_id"], form | {"other": {"base_url": url}}
        )

    text = await error_text(hass, result, "config")
    assert f"could not be reached (the certificate of {says})" in text
    assert seen == []


async def test_duplicate_account(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """The same account cannot be added twice, even with another spelling of its address."""
    await set_up()
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], account_form(portal, base_url=f"{portal.url}/")
    )

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [("secret_key", {}, "new-secret"), ("api_token", {"api_token": "demo-token"}, "new-token")],
)
@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize("changed", [True, False])
async def test_reauth(
    hass: HomeAssistant,
    portal: MockPortal,
    set_up: SetUp,
    field: str,
    old: dict[str, str],
    new: str,
    loaded: bool,
    changed: bool,
) -> None:
    """A new secret, or the old one once it is accepted again, sets the account up again."""
    demo = portal.state.accounts["demo-client"]
    before = getattr(demo, field)
    if not loaded:
        setattr(demo, field, "unknown")
    entry = await set_up(ICCID, **old)
    assert entry.state is (ConfigEntryState.LOADED if loaded else ConfigEntryState.SETUP_ERROR)
    if loaded:
        entry.async_start_reauth(hass)
        await hass.async_block_till_done()
    (flow,) = hass.config_entries.flow.async_progress()
    setattr(demo, field, new if changed else before)
    portal.state.revoke_tokens()

    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {field: "wrong"})
    assert result["type"] is FlowResultType.FORM
    assert "refused these credentials" in await error_text(hass, result, "config")

    portal.journal.clear()
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {field: new if changed else before}
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data[field] == (new if changed else before)
    # One log-in of the dialog, one of the set-up.
    assert portal.journal.logins == 2
    assert state_of(hass, ICCID, "status") == "inventory"


async def summary(hass: HomeAssistant, result: Any) -> list[str]:
    """Return the lines of the summary as a user reads them, with a line for each kind of wrong entries."""
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "summary"
    texts = await async_get_translations(hass, "en", "config_subentries", [DOMAIN])
    prefix = f"component.{DOMAIN}.config_subentries.sim.step.summary"
    text = texts[f"{prefix}.description"]
    sections = [str(key) for key in result["data_schema"].schema if key != "iccids"]
    for key in sections:
        text += f"\n{texts[f'{prefix}.sections.{key}.description']}"
    is_wrong = bool(sections) or result["description_placeholders"]["not_found"] != "0"
    assert (result["errors"].get("iccids") == "entries_wrong") is (
        is_wrong and "base" not in result["errors"]
    )
    return text.format(**result["description_placeholders"]).splitlines()


def looked_up(portal: MockPortal) -> Counter[str | None]:
    """Return the number of look-ups of each SIM."""
    return Counter(call.iccid for call in portal.journal.find(route="GetDevice"))


async def wait_for_look_ups(portal: MockPortal, wanted: int) -> None:
    """Wait until a number of SIMs have been looked up."""
    until = time.monotonic() + 10
    while len(asked := looked_up(portal)) < wanted:
        assert time.monotonic() < until, asked
        await asyncio.sleep(0.01)


def iccids_of(entry: MockConfigEntry) -> set[str | None]:
    """Return the ICCIDs of an account's SIMs."""
    return {subentry.unique_id for subentry in entry.subentries.values()}


def add_beside(hass: HomeAssistant, entry: MockConfigEntry, iccid: str) -> None:
    """Add a SIM as another user would."""
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({"iccid": iccid}),
            subentry_type="sim",
            title="Somebody else's",
            unique_id=iccid,
        ),
    )


def running_checks() -> list[asyncio.Task[Any]]:
    """Return the running tasks of the dialog for SIMs."""
    return [task for task in asyncio.all_tasks() if "SimSubentryFlow" in repr(task)]


@pytest.mark.parametrize(
    "typed",
    [
        f"{ICCID} {OTHER_ICCID}",
        f"{ICCID}, {OTHER_ICCID}",
        f"\n{ICCID}\n{OTHER_ICCID}\n\n",
        f"{ICCID};{OTHER_ICCID} {ICCID}",
        f"\"{ICCID}\"\t'{OTHER_ICCID}'\r\n",
    ],
)
async def test_add_sims(hass: HomeAssistant, set_up: SetUp, portal: MockPortal, typed: str) -> None:
    """Many ICCIDs can be pasted with any separators; each is looked up once."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    result = await submit_sim_form(hass, flow_id, typed)
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert looked_up(portal) == {ICCID: 1, OTHER_ICCID: 1}
    result = await hass.config_entries.subentries.async_configure(flow_id)
    assert await summary(hass, result) == [
        "Ready to be added: 2",
        "Already added: 0",
        "Not found in this account: 0",
    ]
    assert sims_field(result) == f"{ICCID}, Pangea test SIM\n{OTHER_ICCID}, SIM …0011"
    assert not entry.subentries

    result = await confirm_sims(hass, result)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert looked_up(portal) == {ICCID: 1, OTHER_ICCID: 1}
    assert {sub.unique_id: sub.title for sub in entry.subentries.values()} == {
        ICCID: "Pangea test SIM",
        OTHER_ICCID: "SIM …0011",
    }
    assert state_of(hass, ICCID, "status") == "inventory"
    assert state_of(hass, OTHER_ICCID, "status") == "activated"


@pytest.mark.parametrize("together", [True, False])
async def test_unnamed_sims_with_the_same_last_digits(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, together: bool
) -> None:
    """A SIM without a label is named by so many of its last digits that no other SIM has the same."""
    iccids = ["8931080000000010011", "8931080000000020011", "8931080000000031234"]
    for iccid in iccids:
        portal.state.add_sim(Sim(iccid=iccid))
    entry = await set_up()

    for typed in ["\n".join(iccids)] if together else iccids:
        result = await add_sims(hass, entry.entry_id, typed)
        assert result["type"] is FlowResultType.CREATE_ENTRY

    titles = [sub.title for sub in entry.subentries.values()]
    first = "SIM …10011" if together else "SIM …0011"
    assert sorted(titles) == sorted([first, "SIM …20011", "SIM …1234"])
    assert f"sensor.{slugify(first)}_status" in hass.states.async_entity_ids()
    assert not [state for state in hass.states.async_all() if "893108" in state.entity_id]


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("Pump house", "Pump house"),
        (OTHER_ICCID, "SIM …0011"),
        ("+31 97 0000 4711", "SIM …0011"),
        (f"Pump {OTHER_ICCID}", "Pump …0011"),
    ],
)
async def test_label_with_a_number(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, label: str, title: str
) -> None:
    """A label of the portal that holds a whole number is shortened: it gets into entity IDs and logs."""
    portal.sims[OTHER_ICCID].device["deviceID"] = label
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, OTHER_ICCID)

    assert result["title"] == title


async def test_adding_costs_three_requests(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """What the dialog has read of a SIM is not read again by its first poll."""
    entry = await set_up()
    portal.journal.clear()

    await add_sims(hass, entry.entry_id, ICCID)

    assert [call.route for call in portal.journal] == ["GetDevice", "ctdUsage", "sessionInfo"]
    assert state_of(hass, ICCID, "rate_plan") == portal.sims[ICCID].device["ratePlan"]


async def test_add_a_fleet(hass: HomeAssistant, set_up: SetUp) -> None:
    """Hundreds of ICCIDs are looked up in parallel, each once; the progress rises to its end."""
    fleet = [f"89310899{number:011}" for number in range(500)]
    progress = async_capture_events(hass, EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE)
    async with MockPortal(
        {"extends": "documented", "sims": {iccid: {} for iccid in fleet}}
    ) as portal:
        entry = await set_up(base_url=portal.url)
        # So that those at the same time overlap.
        portal.faults.add("delay", route="GetDevice", seconds=0.05)
        mistyped = fleet[0].replace("8931", "8913")

        result = await check_sims(hass, entry.entry_id, "\n".join([mistyped, *fleet[1:]]))

        assert (await summary(hass, result))[0] == "Ready to be added: 499"
        *ready, wrong = sims_field(result).splitlines()
        assert [line[:19] for line in ready] == fleet[1:]
        assert wrong == mistyped
        assert looked_up(portal) == dict.fromkeys([mistyped, *fleet[1:]], 1)
        assert portal.journal.peak_width > 10
        steps = [event.data["progress"] for event in progress]
        assert steps == [number / 500 for number in range(1, 501)]
        assert {event.data["flow_id"] for event in progress} == {result["flow_id"]}

        portal.faults.clear()
        portal.journal.clear()
        await submit_sim_form(hass, result["flow_id"], "\n".join([*ready, fleet[0]]))
        assert [call.iccid for call in portal.journal] == [fleet[0]]
        assert progress[-1].data["progress"] == 1

        result = await hass.config_entries.subentries.async_configure(result["flow_id"])

        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["description"] == "added"
        assert result["description_placeholders"] == {"count": "500"}
        assert iccids_of(entry) == set(fleet)
        # Reading the data of so many SIMs would take a while.
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("typed", "says", "remain"),
    [
        (ICCID[:17], f"Compare with the number on the SIM card: 1 ({ICCID[:17]})", [ICCID[:17]]),
        (f"{ICCID} {ICCID}0000", f"SIM card: 1 ({ICCID}0000)", [f"{ICCID}0000"]),
        (
            f"{ICCID} 89310823220893536xx",
            "such as O for 0: 1 (89310823220893536xx)",
            ["89310823220893536xx"],
        ),
        ("one\ntwo", "printed on the SIM card: 2 (one, two)", ["one", "two"]),
        ("8.93108E+18", "copy them from there: 1 (8.93108E+18)", ["8.93108E+18"]),
        (UNKNOWN_ICCID, f"Not found in this account: 1 ({UNKNOWN_ICCID})", [UNKNOWN_ICCID]),
        (f"{ICCID} {UNKNOWN_ICCID}", f"account: 1 ({UNKNOWN_ICCID})", [UNKNOWN_ICCID]),
    ],
)
async def test_wrong_iccids(
    hass: HomeAssistant, set_up: SetUp, typed: str, says: str, remain: list[str]
) -> None:
    """Wrong ICCIDs are named by what is wrong with them, and nothing is added before they are corrected."""
    entry = await set_up()

    result = await check_sims(hass, entry.entry_id, typed)

    ready = [f"{ICCID}, Pangea test SIM"] * (ICCID in typed.split())
    lines = await summary(hass, result)
    assert [line for line in lines if line.endswith(says)]
    assert lines[0] == f"Ready to be added: {len(ready)}"
    assert "Correct or remove" in await error_text(hass, result, "config_subentries")
    assert sims_field(result).splitlines() == ready + remain
    again = await confirm_sims(hass, result)
    assert sims_field(again) == sims_field(result)
    assert not entry.subentries

    result = await submit_sim_form_to_end(hass, result["flow_id"], "\n".join([*ready, OTHER_ICCID]))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {OTHER_ICCID} | ({ICCID} & set(typed.split()))


async def test_summary(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The summary lists all results; SIMs that were found are kept and not looked up again."""
    first = await set_up(ICCID)
    entry = await set_up(base_url=f"{portal.url[: -len('/api')]}/apiv2")
    portal.journal.clear()

    result = await check_sims(hass, entry.entry_id, f"{ICCID} {OTHER_ICCID} {UNKNOWN_ICCID}\nx,y")

    assert await summary(hass, result) == [
        "Ready to be added: 1",
        f"Already added: 1 ({ICCID})",
        f"Not found in this account: 1 ({UNKNOWN_ICCID})",
        "An ICCID has 18 to 22 digits and is printed on the SIM card: 1 (x,y)",
    ]
    assert sims_field(result) == f"{OTHER_ICCID}, SIM …0011\n{UNKNOWN_ICCID}\nx,y"

    result = await submit_sim_form_to_end(
        hass, result["flow_id"], f"{UNKNOWN_ICCID}\n{OTHER_ICCID}\nz"
    )

    assert await summary(hass, result) == [
        "Ready to be added: 1",
        f"Already added: 1 ({ICCID})",
        f"Not found in this account: 1 ({UNKNOWN_ICCID})",
        "An ICCID has 18 to 22 digits and is printed on the SIM card: 1 (z)",
    ]
    assert looked_up(portal) == {OTHER_ICCID: 1, UNKNOWN_ICCID: 2}

    result = await submit_sim_form_to_end(hass, result["flow_id"], OTHER_ICCID)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {OTHER_ICCID}
    assert iccids_of(first) == {ICCID}


async def test_names(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A SIM has the name that was typed, or else the portal's label, its notes or its last digits."""
    noted, unnamed = "8931080000000000029", "8931080000000000037"
    portal.state.add_sim(Sim(iccid=noted)).device["simNotes"] = "In the cellar"
    portal.state.add_sim(Sim(iccid=unnamed))
    entry = await set_up()
    typed = f"ICCID;Name\n{ICCID};\n{OTHER_ICCID};Pump\n{noted};\n{unnamed};"

    result = await check_sims(hass, entry.entry_id, typed)

    assert sims_field(result).splitlines() == [
        f"{ICCID}, Pangea test SIM",
        f"{OTHER_ICCID}, Pump",
        f"{noted}, In the cellar",
        f"{unnamed}, SIM …0037",
    ]

    changed = sims_field(result).replace("Pump", "Pump, house 4711").replace("SIM …0037", "12")
    changed = changed.replace(f"{ICCID}, Pangea test SIM", ICCID)
    result = await submit_sim_form_to_end(hass, result["flow_id"], changed)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {sub.unique_id: sub.title for sub in entry.subentries.values()} == {
        ICCID: "Pangea test SIM",
        OTHER_ICCID: "Pump, house 4711",
        noted: "In the cellar",
        unnamed: "12",
    }


async def test_typed_name_with_a_number(hass: HomeAssistant, set_up: SetUp) -> None:
    """A long number in a name is masked, and a removed line is left out."""
    entry = await set_up()

    result = await check_sims(hass, entry.entry_id, f"{ICCID}, Pump 204080823514892\n{OTHER_ICCID}")

    shown, other = sims_field(result).splitlines()
    assert shown == f"{ICCID}, Pump …4892"
    assert other.startswith(OTHER_ICCID)
    result = await submit_sim_form_to_end(hass, result["flow_id"], shown)
    assert [sub.title for sub in entry.subentries.values()] == ["Pump …4892"]


async def upload(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, content: bytes, name: str = "sims.csv"
) -> str:
    """Upload a file as a browser does, and return its ID."""
    assert await async_setup_component(hass, "file_upload", {})
    client = await hass_client()
    form = FormData()
    form.add_field("file", content, filename=name)
    response = await client.post("/api/file_upload", data=form)
    assert response.status == 200
    return str((await response.json())["file_id"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
async def test_file(
    hass: HomeAssistant,
    set_up: SetUp,
    hass_client: ClientSessionGenerator,
    encoding: str,
) -> None:
    """The SIMs of a file are read together with those that were typed, whichever program saved it."""
    entry = await set_up()
    table = f"Bezeichnung;ICCID\r\nPümpe;{OTHER_ICCID}\r\nkaputt;8931\r\n"
    file_id = await upload(hass, hass_client, table.encode(encoding))
    flow_id = await open_sim_dialog(hass, entry.entry_id)

    await hass.config_entries.subentries.async_configure(
        flow_id, {"iccids": ICCID, "file": file_id}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    result = await hass.config_entries.subentries.async_configure(flow_id)

    assert (await summary(hass, result))[0] == "Ready to be added: 2"
    assert sims_field(result).splitlines() == [
        f"{ICCID}, Pangea test SIM",
        f"{OTHER_ICCID}, Pümpe",
        "8931, kaputt",
    ]


async def test_file_while_the_portal_fails(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, hass_client: ClientSessionGenerator
) -> None:
    """What was in a file is kept in the text, even if the browser names the file again."""
    entry = await set_up()
    file_id = await upload(hass, hass_client, f"{OTHER_ICCID}\tPump\n".encode())
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    flows = hass.config_entries.subentries
    portal.faults.add("status", status=500)

    await flows.async_configure(flow_id, {"file": file_id})
    await hass.async_block_till_done(wait_background_tasks=True)
    result = await flows.async_configure(flow_id)

    assert result["step_id"] == "user"
    assert sims_field(result) == f"{OTHER_ICCID}, Pump"
    portal.faults.clear()
    await flows.async_configure(flow_id, {"file": file_id})
    await hass.async_block_till_done(wait_background_tasks=True)
    result = await confirm_sims(hass, await flows.async_configure(flow_id))
    assert result["title"] == "Pump"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "Save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Save it as CSV"),
        (b"%PDF-1.7\n", "contains no text"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00", "contains no text"),
        (b"1" * (1024 * 1024 + 1), "larger than 1 MB"),
        (None, "no longer there"),
    ],
    ids=["xlsx", "xls", "pdf", "png", "large", "gone"],
)
async def test_file_errors(
    hass: HomeAssistant,
    set_up: SetUp,
    hass_client: ClientSessionGenerator,
    content: bytes | None,
    says: str,
) -> None:
    """A file that cannot be read is named with what to do, and what was typed is kept."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    file_id = "01234567890123456789012345678901"
    if content is not None:
        file_id = await upload(hass, hass_client, content)

    result = await hass.config_entries.subentries.async_configure(
        flow_id, {"iccids": ICCID, "file": file_id}
    )

    assert result["step_id"] == "user"
    assert set(result["errors"] or {}) == {"file"}
    assert says in await error_text(hass, result, "config_subentries")
    assert sims_field(result) == ICCID


async def test_long_lists_are_cut(hass: HomeAssistant, set_up: SetUp) -> None:
    """A long list of wrong ICCIDs is counted in full and shown in part; the field keeps all."""
    entry = await set_up()
    wrong = [str(number) for number in range(100, 121)]

    result = await check_sims(hass, entry.entry_id, "\n".join([*wrong, ICCID]))

    assert (await summary(hass, result))[3].endswith(f": 21 ({', '.join(wrong[:20])}, …)")
    assert sims_field(result).splitlines() == [f"{ICCID}, Pangea test SIM", *wrong]
    result = await submit_sim_form_to_end(hass, result["flow_id"], "\n".join([ICCID, *wrong[:20]]))
    assert (await summary(hass, result))[3].endswith(f": 20 ({', '.join(wrong[:20])})")
    result = await submit_sim_form_to_end(hass, result["flow_id"], ICCID)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_nothing_to_add(hass: HomeAssistant, set_up: SetUp) -> None:
    """A dialog without SIMs to add says so and can be continued."""
    entry = await set_up(OTHER_ICCID)
    says = "There is nothing to add. Enter the ICCID of a SIM that has not been added yet."

    result = await check_sims(hass, entry.entry_id, " , ")
    assert result["step_id"] == "user"
    assert await error_text(hass, result, "config_subentries") == says

    result = await submit_sim_form_to_end(hass, result["flow_id"], OTHER_ICCID)
    assert (await summary(hass, result))[:2] == [
        "Ready to be added: 0",
        f"Already added: 1 ({OTHER_ICCID})",
    ]
    assert not result["errors"]
    # A browser omits empty fields.
    result = await submit_sim_form_to_end(hass, result["flow_id"], None)
    assert result["step_id"] == "summary"
    assert await error_text(hass, result, "config_subentries") == says

    result = await submit_sim_form_to_end(hass, result["flow_id"], ICCID)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {ICCID, OTHER_ICCID}


async def test_sims_are_added_in_one_go(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding many SIMs goes through all SIMs once, not once for each."""
    entry = await set_up()
    updates: list[int] = []
    monkeypatch.setattr(
        entry.runtime_data.sim_devices,
        "async_follow",
        lambda: updates.append(len(entry.subentries)),
    )

    for number in range(50):
        add_beside(hass, entry, f"89310899{number:011}")
    await hass.async_block_till_done(wait_background_tasks=True)

    assert updates == [50]
    assert len(entry.runtime_data.sims) == 50


@pytest.mark.parametrize("beside", [ICCID, OTHER_ICCID])
async def test_somebody_else_adds_a_sim_during_the_check(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, beside: str
) -> None:
    """A SIM that was added meanwhile is listed as existing; the other one is added."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    flows = hass.config_entries.subentries
    result = await flows.async_configure(flow_id, {"iccids": f"{ICCID} {OTHER_ICCID}"})
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    add_beside(hass, entry, beside)
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await flows.async_configure(flow_id)

    assert (await summary(hass, result))[:2] == [
        "Ready to be added: 1",
        f"Already added: 1 ({beside})",
    ]
    result = await confirm_sims(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {ICCID, OTHER_ICCID}
    assert len(entry.subentries) == 2


async def test_somebody_else_adds_sims_during_the_summary(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """SIMs that were added while the summary was open are not added again."""
    entry = await set_up()
    result = await check_sims(hass, entry.entry_id, f"{ICCID} {OTHER_ICCID}\nwrong")
    typed = sims_field(result)
    add_beside(hass, entry, ICCID)
    add_beside(hass, entry, OTHER_ICCID)
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await submit_sim_form_to_end(hass, result["flow_id"], f"{ICCID}\n{OTHER_ICCID}")

    assert "nothing to add" in await error_text(hass, result, "config_subentries")
    assert (await summary(hass, result))[:2] == [
        "Ready to be added: 0",
        f"Already added: 2 ({ICCID}, {OTHER_ICCID})",
    ]
    for subentry in list(entry.subentries.values()):
        hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    typed = typed.removesuffix("\nwrong")
    result = await submit_sim_form_to_end(hass, result["flow_id"], typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {ICCID, OTHER_ICCID}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "reset_after_read"}, "could not be reached"),
        (
            {"kind": "status", "status": 500},
            f"answered with an error for {ICCID} (HTTP status 500)",
        ),
        ({"kind": "rate_limited"}, "receiving too many requests"),
        (
            {"kind": "status", "status": 401, "body": {"errorCode": "10000001"}},
            "refused the credentials of this account",
        ),
    ],
)
@pytest.mark.parametrize("step_id", ["user", "summary"])
async def test_portal_fails_while_adding(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    fault: dict[str, Any],
    says: str,
    step_id: str,
) -> None:
    """A failing portal ends the check and is named; only the remaining SIMs are looked up again."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    typed = f"{ICCID} {OTHER_ICCID} {UNKNOWN_ICCID}"
    if step_id == "summary":
        await summary(hass, await submit_sim_form_to_end(hass, flow_id, "wrong"))
    # It fails after one SIM was found and while another is being looked up.
    portal.sims[ICCID].refused_routes = frozenset({"GetDevice"})
    portal.faults.add("delay", iccid=ICCID, route="GetDevice", seconds=0.3)
    portal.faults.add(iccid=ICCID, route="ctdUsage", **fault)
    if "credentials" in says:
        # A refused token alone does not mean wrong credentials.
        portal.faults.add(route="Login", **fault)
    portal.faults.add("hang", iccid=UNKNOWN_ICCID, unknown_sim=True)

    result = await submit_sim_form_to_end(hass, flow_id, typed)

    assert not running_checks()
    assert result["step_id"] == step_id
    assert says in await error_text(hass, result, "config_subentries")
    assert sims_field(result) == typed
    assert not entry.subentries
    reauth = [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()]
    assert reauth == (["reauth"] if "credentials" in says else [])
    # A reloaded page shows the same.
    again = await hass.config_entries.subentries.async_configure(flow_id)
    assert (again["step_id"], again["errors"], sims_field(again)) == (
        step_id,
        result["errors"],
        typed,
    )

    portal.faults.clear()
    if "credentials" in says:
        await hass.config_entries.async_reload(entry.entry_id)
    portal.journal.clear()
    await submit_sim_form(hass, flow_id, f"{ICCID} {OTHER_ICCID}")
    assert {call.iccid for call in portal.journal} - {None} == {ICCID}
    result = await hass.config_entries.subentries.async_configure(flow_id)
    if step_id == "user":
        result = await confirm_sims(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {ICCID, OTHER_ICCID}


async def test_closing_the_dialog_ends_the_check(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Closing the dialog stops the requests, and it can be opened again."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    portal.faults.add("hang")
    flows = hass.config_entries.subentries
    await flows.async_configure(flow_id, {"iccids": f"{ICCID} {OTHER_ICCID}"})
    await wait_for_look_ups(portal, 2)
    running = running_checks()
    flows.async_abort(flow_id)
    # Less than the time-out of the requests, which would end the check too.
    ended, _ = await asyncio.wait(running, timeout=25)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert ended == set(running)
    assert not running_checks()
    assert not flows.async_progress()
    assert not entry.subentries
    portal.faults.clear()
    result = await add_sims(hass, entry.entry_id, ICCID)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_person_does_not_wait_for_a_check(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action has priority over ICCIDs that are still to be looked up."""
    monkeypatch.setattr(client_factory, "Pacer", lambda **_: Pacer(rate=100, max_concurrent=1))
    entry = await set_up(OTHER_ICCID)
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, OTHER_ICCID), entry.entry_id
    )
    assert device is not None
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    typed = " ".join(f"89310899{number:011}" for number in range(30))
    portal.journal.clear()
    await hass.config_entries.subentries.async_configure(flow_id, {"iccids": typed})
    await wait_for_look_ups(portal, 1)

    await hass.services.async_call(
        DOMAIN, "list_sms", {"device_id": device.id}, blocking=True, return_response=True
    )

    assert len(looked_up(portal)) < 10
    hass.config_entries.subentries.async_abort(flow_id)


@pytest.mark.parametrize("fault", [None, {"kind": "status", "status": 500}])
async def test_progress_can_be_seen(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any] | None,
) -> None:
    """However fast a check ends, the dialog has time to listen for its end."""
    monkeypatch.setattr(sim_flow, "MIN_PROGRESS_SECONDS", 0.3)
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    if fault is not None:
        portal.faults.add(**fault)
    ended = async_capture_events(hass, EVENT_DATA_ENTRY_FLOW_PROGRESSED)
    began = time.monotonic()

    result = await submit_sim_form(hass, flow_id, ICCID)

    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert time.monotonic() - began >= 0.3
    assert [event.data["flow_id"] for event in ended] == [flow_id]


@pytest.mark.parametrize(
    "refused", [{"GetDevice"}, {"GetDevice", "ctdUsage"}, {"GetDevice", "getStatus"}]
)
async def test_network_without_some_routes(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, refused: set[str]
) -> None:
    """A SIM is found through any route that its network offers."""
    portal.sims[ICCID].refused_routes = frozenset(refused)
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, ICCID)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "SIM …3632"


@pytest.mark.parametrize("variant", ["400", "404_html", "200_empty"])
async def test_unknown_in_other_words(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, variant: str
) -> None:
    """A SIM is not added, whichever way the portal reports it as unknown."""
    portal.dialects["unknown_iccid"] = variant
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, UNKNOWN_ICCID)

    assert (await summary(hass, result))[2].endswith(f": 1 ({UNKNOWN_ICCID})")
    assert not entry.subentries


async def test_account_loses_its_connection(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """An account that is unloaded during the input is named, and the input is kept."""
    entry = await set_up()
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    await hass.config_entries.async_unload(entry.entry_id)

    result = await submit_sim_form_to_end(hass, flow_id, ICCID)

    assert "not connected at the moment" in await error_text(hass, result, "config_subentries")
    assert sims_field(result) == ICCID
    again = await hass.config_entries.subentries.async_configure(flow_id)
    assert sims_field(again) == ICCID
    await hass.config_entries.async_setup(entry.entry_id)
    result = await confirm_sims(hass, await submit_sim_form_to_end(hass, flow_id, ICCID))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_account_is_reloaded_during_the_check(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of many SIMs goes on when the account is unloaded, or loaded again, in the meantime."""
    monkeypatch.setattr(sim_flow, "LOOK_UPS_AT_ONCE", 1)
    entry = await set_up()
    portal.faults.add("delay", route="GetDevice", seconds=0.2)
    flow_id = await open_sim_dialog(hass, entry.entry_id)
    typed = {"iccids": f"{ICCID} {OTHER_ICCID}"}
    result = await hass.config_entries.subentries.async_configure(flow_id, typed)
    assert result["type"] is FlowResultType.SHOW_PROGRESS

    await wait_for_requests(portal, f"GET /GetDevice/{ICCID}")
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await hass.config_entries.subentries.async_configure(flow_id)
    assert (await summary(hass, result))[0] == "Ready to be added: 2"


async def test_account_not_connected(hass: HomeAssistant, set_up: SetUp) -> None:
    """SIMs cannot be looked up while their account is not connected."""
    entry = await set_up(secret_key="wrong")

    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "sim"), context={"source": SOURCE_USER}
    )

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "entry_not_loaded"


async def test_reconfigure(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """An account can change its address and secret in a form that shows the stored values."""
    entry = await set_up(ICCID)
    portal.state.accounts["demo-client"].secret_key = "new-secret"
    portal.state.revoke_tokens()
    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "reconfigure"
    assert result["data_schema"] is not None
    suggested = {
        str(key): (key.description or {}).get("suggested_value")
        for key in result["data_schema"].schema
    }
    assert suggested["client_id"] == "demo-client"
    assert suggested["secret_key"] is None

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], account_form(portal, secret_key="wrong")
    )
    assert result["errors"] == {"base": "invalid_auth"}

    apiv2 = portal.url.removesuffix("/api") + "/apiv2"
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], account_form(portal, base_url=apiv2, secret_key="new-secret")
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["reason"] == "reconfigure_successful"
    assert entry.data["base_url"] == apiv2
    assert entry.unique_id == f"demo-client@{apiv2}"
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, ICCID, "status") == "inventory"


@pytest.mark.parametrize("step", ["user", "reconfigure"])
async def test_unusable_address(
    hass: HomeAssistant,
    portal: MockPortal,
    set_up: SetUp,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """An address that cannot be asked is refused in words, and neither stored nor logged."""
    entry = await set_up()
    result = await (start(hass) if step == "user" else entry.start_reconfigure_flow(hass))
    before = dict(entry.data)
    portal.journal.clear()

    for address in (*UNUSABLE_ADDRESSES, *ADDRESSES_WITH_SECRETS):
        form = account_form(portal, client_id="another") | {"other": {"base_url": address}}
        result = await hass.config_entries.flow.async_configure(result["flow_id"], form)
        text = await error_text(hass, result, "config")
        has_secret = address in ADDRESSES_WITH_SECRETS
        assert ("without a user name" if has_secret else "Enter a valid custom address") in text, (
            address
        )
        assert "pa55" not in text

    assert entry.data == before
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1
    assert "pa55" not in caplog.text
    assert not list(portal.journal)


@pytest.mark.parametrize("address", [*UNUSABLE_ADDRESSES[::8], *ADDRESSES_WITH_SECRETS])
async def test_stored_address_is_unusable(
    hass: HomeAssistant, set_up: SetUp, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    """An account with such an address, from a backup or an editor, fails in words, and so do its dialogs."""
    entry = await set_up(ICCID, base_url=address)
    assert entry.state is ConfigEntryState.SETUP_ERROR

    sims = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "sim"), context={"source": SOURCE_USER}
    )
    reauth = await entry.start_reauth_flow(hass)
    reauth = await hass.config_entries.flow.async_configure(reauth["flow_id"], {"secret_key": "b"})
    reconfigured = await entry.start_reconfigure_flow(hass)
    options = await hass.config_entries.options.async_init(entry.entry_id)

    assert sims["reason"] == "entry_not_loaded"
    assert "the base URL" in await error_text(hass, reauth, "config")
    assert reconfigured["type"] is options["type"] is FlowResultType.FORM
    assert "pa55" not in caplog.text


def is_open(result: Any) -> bool:
    """Return whether the section for optional fields of an account is expanded."""
    return not result["data_schema"].schema["other"].options["collapsed"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"base_url": "https://api.iotportal.io/api", "client_id": "me", "secret_key": "x"}, False),
        ({"base_url": "http://127.0.0.1:1/api", "client_id": "me", "secret_key": "x"}, True),
        ({"base_url": "https://api.iotportal.io/api", "api_token": "x"}, True),
    ],
)
async def test_rare_fields_are_in_sight(
    hass: HomeAssistant, data: dict[str, str], expected: bool
) -> None:
    """The section for another address or log-in is expanded if the account has one; secrets are omitted."""
    entry = MockConfigEntry(domain=DOMAIN, data=data)
    entry.add_to_hass(hass)

    result = await entry.start_reconfigure_flow(hass)

    assert is_open(result) is expected
    assert "'x'" not in str(result["data_schema"].schema)


async def test_custom_without_an_address(hass: HomeAssistant, portal: MockPortal) -> None:
    """A user who chooses another address without entering one sees its field with the error."""
    result = await start(hass)
    assert not is_open(result)

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], account_form(portal, base_url="")
    )

    assert result["errors"] == {"base": "base_url_invalid"}
    assert is_open(result)


async def test_reconfigure_to_another_entry(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp
) -> None:
    """An account cannot be changed into an existing one."""
    apiv2 = portal.url.removesuffix("/api") + "/apiv2"
    await set_up(ICCID)
    other = await set_up(base_url=apiv2)
    result = await other.start_reconfigure_flow(hass)

    result = await hass.config_entries.flow.async_configure(result["flow_id"], account_form(portal))

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_options(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """Polling and defaults can be changed, with immediate effect."""
    entry = await set_up(OTHER_ICCID)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "init"
    assert result["data_schema"] is not None
    assert result["data_schema"]({"advanced": {}})["watch_sms"] is False

    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {
            "poll_interval": 5,
            "billing_day": 15,
            "data_unit": "kilobytes",
            "watch_sms": True,
            "advanced": {"request_rate": 2, "max_concurrent_requests": 1},
        },
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options["watch_sms"] is True
    assert entry.options["request_rate"] == 2
    pacer = entry.runtime_data.account.client.pacer
    assert (pacer.rate, pacer.max_concurrent) == (2, 1)
    # The mock reports 1,500,000 of them.
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1500
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    freezer.tick(timedelta(minutes=5 * 1.5))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"


async def test_all_details_in_forms(
    hass: HomeAssistant, set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the forms of a large account that is loaded offer all details; the SIMs of a small one have them already."""
    entry = await set_up(ICCID, OTHER_ICCID)
    subentry_id = next(iter(entry.subentries))

    async def offered() -> list[bool]:
        options = await hass.config_entries.options.async_init(entry.entry_id)
        settings = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
        schemas = [form["data_schema"] for form in (options, settings)]
        return [schema is not None and "all_details" in schema.schema for schema in schemas]

    assert await offered() == [False, False]
    monkeypatch.setattr(account, "LARGE_FLEET", 1)
    assert await offered() == [True, True]
    # They could not be removed.
    await hass.config_entries.async_unload(entry.entry_id)
    assert await offered() == [False, False]


async def test_all_details_outlast_forms_without_them(hass: HomeAssistant, set_up: SetUp) -> None:
    """A form that does not offer all details keeps the choice that was made before."""
    entry = await set_up(ICCID, OTHER_ICCID, options={"all_details": True})
    subentry_id = next(iter(entry.subentries))
    sim = {"device_id": device_id(hass, entry, ICCID), "all_details": True}
    await call_action(hass, "set_sim_settings", sim)

    form = await hass.config_entries.options.async_init(entry.entry_id)
    await hass.config_entries.options.async_configure(form["flow_id"], {"advanced": {}})
    form = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    await hass.config_entries.subentries.async_configure(form["flow_id"], {"allowance": 10})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.options["all_details"] is True
    assert entry.options["poll_interval"] == 15
    assert entry.subentries[subentry_id].data["all_details"] is True
    assert entry.subentries[subentry_id].data["allowance"] == 10


async def test_sim_settings(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """Settings of a SIM override the defaults for that SIM, at once and without a reload."""
    entry = await set_up(ICCID, OTHER_ICCID)
    subentry = next(sub for sub in entry.subentries.values() if sub.unique_id == OTHER_ICCID)
    portal.journal.clear()
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)

    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"],
        {"allowance": 10, "billing_day": 15, "data_unit": "bytes", "plan_unit": "decimal"},
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["reason"] == "reconfigure_successful"
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 15
    assert len(portal.journal) == 0


async def set_options(hass: HomeAssistant, entry: Any, **options: Any) -> None:
    """Change options of an account as its dialog does."""
    hass.config_entries.async_update_entry(entry, options={**entry.options, **options})
    await hass.async_block_till_done(wait_background_tasks=True)


def record_state_writes(hass: HomeAssistant) -> list[str]:
    """Return a list that receives the entity of each state that is written, changed or not."""
    written: list[str] = []

    @callback
    def record(event: Event[Any]) -> None:
        written.append(event.data["entity_id"])

    @callback
    def is_any(_: Any) -> bool:
        return True

    for event_type in (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED):
        hass.bus.async_listen(event_type, record, event_filter=is_any)
    return written


@pytest.mark.parametrize(
    "options",
    [
        {"poll_interval": 5},
        {"request_rate": 1, "max_concurrent_requests": 1},
        {"data_unit": "bytes", "billing_day": 1},
    ],
)
async def test_options_write_no_states(
    hass: HomeAssistant,
    set_up: SetUp,
    portal: MockPortal,
    freezer: FrozenDateTimeFactory,
    all_entities: None,
    options: dict[str, Any],
) -> None:
    """Options that change no value write no state, and reload nothing."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await wait_for_sums(hass, freezer)
    account = entry.runtime_data.account
    portal.journal.clear()
    written = record_state_writes(hass)

    await set_options(hass, entry, **options)

    assert written == []
    assert len(portal.journal) == 0
    assert entry.runtime_data.account is account


async def test_watching_sms_changes_no_states(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """When SMS are watched, the lists are read at once, so that the next SMS is told; no state changes."""
    entry = await set_up(ICCID, OTHER_ICCID)
    await wait_for_sums(hass, freezer)
    portal.journal.clear()
    changed = async_capture_events(hass, EVENT_STATE_CHANGED)

    await set_options(hass, entry, watch_sms=True)

    assert changed == []
    assert {call.iccid for call in portal.journal.find(route="GetSMSIds")} == {ICCID, OTHER_ICCID}
    assert not portal.journal.find(route="Login")
    assert not portal.journal.find(route="GetDevice")


async def test_options_write_changed_states(
    hass: HomeAssistant, set_up: SetUp, freezer: FrozenDateTimeFactory
) -> None:
    """An option that changes values of a SIM only changes the states that show them."""
    entry = await set_up(ICCID)
    await wait_for_sums(hass, freezer)
    changed = async_capture_events(hass, EVENT_STATE_CHANGED)

    await set_options(hass, entry, default_allowance=100, billing_day=15)

    keys = {event.data["entity_id"].rsplit(f"{ICCID}_")[-1] for event in changed}
    assert keys == {"next_billing_date"}


async def test_changed_interval(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The next poll follows a changed interval, and a poll that another option leaves alone stays where it is."""
    entry = await set_up(OTHER_ICCID)
    (sim,) = entry.runtime_data.sims.values()
    before = sim.update_interval

    await set_options(hass, entry, default_allowance=100)
    assert sim.update_interval is before
    await set_options(hass, entry, poll_interval=240)
    portal.journal.clear()

    freezer.tick(timedelta(minutes=100))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(portal.journal) == 0
    freezer.tick(timedelta(minutes=270))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(portal.journal) > 0


async def test_default_allowance(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """The account's allowance is used where neither the SIM's settings nor the portal have one."""
    portal.sims[OTHER_ICCID].device.update(dataquantity=None, datasize=None)
    entry = await set_up(ICCID, OTHER_ICCID)
    reported = state_of(hass, ICCID, "data_remaining")
    (subentry,) = [sub for sub in entry.subentries.values() if sub.unique_id == OTHER_ICCID]
    assert not exists(hass, OTHER_ICCID, "allowance_used")

    await set_options(hass, entry, default_allowance=3, plan_unit="decimal")
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 50
    assert entry.runtime_data.sims[subentry.subentry_id].data.history.use.allowance == 3_000_000
    await set_options(hass, entry, plan_unit="binary")
    assert state_of(hass, ICCID, "data_remaining") == reported

    data = {**subentry.data, "allowance": 6, "plan_unit": "decimal"}
    hass.config_entries.async_update_subentry(entry, subentry, data=data)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(state_of(hass, OTHER_ICCID, "allowance_used")) == 25


async def test_what_applies_beside_the_settings(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """The settings of a SIM say what applies where they are empty."""
    options = {"default_allowance": 300.0, "billing_day": 15.0, "cycle_days": 28.0}
    entry = await set_up(
        ICCID, options={**options, "cycle_start": "2026-01-05", "data_unit": "kilobytes"}
    )
    (subentry,) = entry.subentries.values()

    async def shown() -> Any:
        result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
        return result["description_placeholders"]

    assert await shown() == {
        "sim": subentry.title,
        "portal_allowance": "1 GB",
        "account_allowance": "300 MB",
        "billing_day": "15",
        "cycle_days": "28",
        "cycle_start": "2026-01-05",
        "data_unit": "Kilobytes",
        "plan_unit": "1,048,576 bytes (1,024 \N{MULTIPLICATION SIGN} 1,024)",
    }
    await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(entry, options={})
    assert (await shown()).items() >= {
        "portal_allowance": "—",
        "account_allowance": "—",
        "billing_day": "1",
        "cycle_days": "—",
        "data_unit": "Bytes",
    }.items()


async def test_cycle_of_days(hass: HomeAssistant, set_up: SetUp) -> None:
    """A cycle of days needs its days and a date, from the account or the SIM."""
    entry = await set_up(OTHER_ICCID)
    (subentry,) = entry.subentries.values()

    async def submit(user_input: dict[str, Any]) -> Any:
        result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
        result = await hass.config_entries.subentries.async_configure(result["flow_id"], user_input)
        await hass.async_block_till_done(wait_background_tasks=True)
        return result

    assert (await submit({"cycle_days": 28}))["errors"] == {"base": "cycle_incomplete"}
    assert (await submit({"cycle_start": "2026-01-05"}))["errors"] == {"base": "cycle_incomplete"}
    done = await submit({"cycle_days": 28, "cycle_start": "2026-01-05"})
    assert done["reason"] == "reconfigure_successful"
    settings = entry.runtime_data.sims[subentry.subentry_id].data.settings
    assert (settings.cycle_days, settings.cycle_start) == (28, date(2026, 1, 5))

    options = await hass.config_entries.options.async_init(entry.entry_id)
    options = await hass.config_entries.options.async_configure(
        options["flow_id"], {"cycle_days": 30, "advanced": {"request_rate": 3}}
    )
    assert options["errors"] == {"base": "cycle_incomplete"}
    schema = options["data_schema"]
    assert schema is not None
    (advanced,) = [field for key, field in schema.schema.items() if key == "advanced"]
    suggested = {str(key): key.description for key in advanced.schema.schema}
    assert suggested["request_rate"] == {"suggested_value": 3}
    options = await hass.config_entries.options.async_configure(
        options["flow_id"], {"cycle_days": 30, "cycle_start": "2026-02-01", "advanced": {}}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert options["type"] is FlowResultType.CREATE_ENTRY
    assert (await submit({"cycle_days": 7}))["reason"] == "reconfigure_successful"
    settings = entry.runtime_data.sims[subentry.subentry_id].data.settings
    assert (settings.cycle_days, settings.cycle_start) == (7, date(2026, 2, 1))
    assert (await submit({"billing_day": 9}))["reason"] == "reconfigure_successful"
    settings = entry.runtime_data.sims[subentry.subentry_id].data.settings
    assert (settings.cycle_days, settings.billing_day) == (None, 9)


async def test_sim_renamed(hass: HomeAssistant, set_up: SetUp) -> None:
    """A SIM that is renamed renames its device."""
    entry = await set_up(ICCID)
    (subentry,) = entry.subentries.values()

    hass.config_entries.async_update_subentry(entry, subentry, title="Pump")
    await hass.async_block_till_done(wait_background_tasks=True)

    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ICCID), entry.entry_id)
    assert device is not None
    assert device.name == "Pump"


GROUPED = " ".join(re.findall(".{1,4}", ICCID))


@pytest.mark.parametrize(
    "typed",
    [
        f"{ICCID}F\n{OTHER_ICCID}f",
        f"{GROUPED}\n{OTHER_ICCID}",
        f"{OTHER_ICCID}\r\n{GROUPED}\r\n",
        f"{GROUPED.replace(' ', '-')}, {OTHER_ICCID}",
        f"{GROUPED} {OTHER_ICCID}",
        f"{GROUPED} {' '.join(re.findall('.{1,4}', OTHER_ICCID))}",
        f"{GROUPED.replace(' ', '\u00a0')}; {OTHER_ICCID}\u200b",
        f"+CCID: {ICCID}F\nICCID: {OTHER_ICCID}\nQCCID={GROUPED}",
    ],
)
async def test_iccids_as_printed(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, typed: str
) -> None:
    """ICCIDs can be pasted as modems print them and as they are printed on cards."""
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, typed)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert looked_up(portal) == {ICCID: 1, OTHER_ICCID: 1}
    assert iccids_of(entry) == {ICCID, OTHER_ICCID}


async def test_groups_that_are_no_iccid(hass: HomeAssistant, set_up: SetUp) -> None:
    """Entries that have no ICCID remain as they were typed."""
    entry = await set_up()

    result = await check_sims(hass, entry.entry_id, "8931 0823\n![x](http://x.example/a_b)")

    lines = await summary(hass, result)
    assert lines[3].endswith("SIM card: 1 (![x](http://x.example/a_b))")
    assert lines[4].endswith("SIM card: 1 (8931 0823)")
    assert sims_field(result) == "8931 0823\n![x](http://x.example/a_b)"


# ICCID and OTHER_ICCID with the check digit that follows them.
CHECKED = {ICCID: "89310823220893536322", OTHER_ICCID: "89310800000000000116"}


@pytest.mark.parametrize("there_with_check_digit", [False, True])
async def test_card_under_another_spelling(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, *, there_with_check_digit: bool
) -> None:
    """A card that is there is not added again with its check digit or without it, in any account."""
    short, long = ICCID, CHECKED[ICCID]
    there, typed = (long, short) if there_with_check_digit else (short, long)
    await set_up(there)
    entry = await set_up(base_url=f"{portal.url[: -len('/api')]}/apiv2")
    portal.journal.clear()

    result = await check_sims(
        hass, entry.entry_id, f"{typed}\n{OTHER_ICCID} {CHECKED[OTHER_ICCID]}F"
    )

    lines = await summary(hass, result)
    assert lines[0] == "Ready to be added: 1"
    assert lines[1] == f"Already added: 1 ({there})"
    assert looked_up(portal) == {OTHER_ICCID: 1}

    result = await confirm_sims(hass, result)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert iccids_of(entry) == {OTHER_ICCID}


async def test_answer_about_another_sim(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A SIM that is answered with the record of another one is not added."""
    for route in ("GetDevice", "ctdUsage"):
        portal.faults.add(
            "status", route=route, status=200, body={"iccid": OTHER_ICCID, "status": "ACTIVATED"}
        )
    entry = await set_up()

    result = await check_sims(hass, entry.entry_id, ICCID)

    assert result["type"] is FlowResultType.FORM
    assert not entry.subentries


async def test_label_of_a_found_sim(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """A label names the SIM in one line of bounded length."""
    portal.sims[ICCID].device["deviceID"] = "Pump\n\n# house\x00\u202e" + "x" * 5000
    entry = await set_up()

    await add_sims(hass, entry.entry_id, ICCID)

    (sim,) = entry.subentries.values()
    assert sim.title.startswith("Pump # housexxx")
    assert len(sim.title) == 100


async def test_refusal_without_a_code(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A SIM of which every answer says only that it is not there is not added."""
    body = {"success": False, "message": "ICCID not found"}
    for route in ("GetDevice", "ctdUsage", "getStatus"):
        portal.faults.add("status", route=route, status=200, body=body)
    entry = await set_up()

    result = await check_sims(hass, entry.entry_id, ICCID)

    assert result["type"] is FlowResultType.FORM
    assert not entry.subentries
