"""The dialogs: every error is told, loses nothing, and ends in success once it is mended."""

from datetime import timedelta
from typing import Any

from aiohttp.test_utils import unused_port
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_translations
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, UNKNOWN_ICCID, SetUp
from .test_sensor import state_of


def account_form(portal: MockPortal, **changes: str) -> dict[str, Any]:
    """Return a filled-in form for an account at the mock portal."""
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
    """Return the error of a form as a person reads it."""
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
    assert result["title"] == "demo-client"
    assert result["data"] == {
        "base_url": portal.url,
        "client_id": "demo-client",
        "secret_key": "demo-secret",
    }
    _, flow_id = result["next_flow"]
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_account_with_api_token(hass: HomeAssistant, portal: MockPortal) -> None:
    """An API token is enough; the entry is known by its fingerprint, never by the token."""
    result = await start(hass)

    result = await hass.config_entries.flow.async_configure(
        result["flow_id"],
        account_form(portal, client_id="", secret_key="", api_token="demo-token"),
    )

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "IoT Portal"
    assert result["data"] == {"base_url": portal.url, "api_token": "demo-token"}
    assert "demo-token" not in (result["result"].unique_id or "")


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
        ({"base_url": ""}, None, "custom address is missing"),
        ({"base_url": "ftp://example.com"}, None, "is no web address"),
        ({"base_url": "http://me@example.com"}, None, "is no web address"),
        ({"base_url": "http://[broken"}, None, "is no web address"),
        ({"secret_key": ""}, None, "Enter the client ID and the secret key"),
        ({"api_token": "demo-token"}, None, "not both"),
        ({}, {"kind": "status", "status": 500}, "answered with an error (HTTP status 500)"),
        ({}, {"kind": "rate_limited"}, "asked too often"),
        ({}, {"kind": "status", "status": 200, "body": "<html>Hi</html>"}, "is this its address?"),
    ],
)
async def test_account_errors(
    hass: HomeAssistant,
    portal: MockPortal,
    changes: dict[str, str],
    fault: dict[str, Any] | None,
    says: str,
) -> None:
    """Each error says what to do, keeps what was typed, and ends in success once it is mended."""
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


async def test_duplicate_account(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """The same account is not added twice, also when its address is spelled another way."""
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
    """Another secret, or the same one that is good again, sets the account up again, once."""
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


async def add_sims(hass: HomeAssistant, entry_id: str, typed: str) -> Any:
    """Open the dialog for SIMs and fill it in."""
    result = await hass.config_entries.subentries.async_init(
        (entry_id, "sim"), context={"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.FORM
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"iccids": typed}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


@pytest.mark.parametrize(
    "typed",
    [
        f"{ICCID} {OTHER_ICCID}",
        f"{ICCID}, {OTHER_ICCID}",
        f"\n{ICCID}\n{OTHER_ICCID}\n\n",
        f"{ICCID};{OTHER_ICCID} {ICCID}",
    ],
)
async def test_add_sims(hass: HomeAssistant, set_up: SetUp, typed: str) -> None:
    """Many ICCIDs can be pasted, however they are separated."""
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, typed)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {sub.unique_id: sub.title for sub in entry.subentries.values()} == {
        ICCID: "Pangea test SIM",
        OTHER_ICCID: f"SIM {OTHER_ICCID}",
    }
    assert state_of(hass, ICCID, "status") == "inventory"
    assert state_of(hass, OTHER_ICCID, "status") == "activated"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (ICCID[:17], f"Not an ICCID: {ICCID[:17]}. An ICCID has 18 to 22 digits"),
        (f"{ICCID} {ICCID}0000", f"Not an ICCID: {ICCID}0000."),
        (f"{ICCID} 89310823220893536xx", "Not an ICCID: 89310823220893536xx."),
        ("", "Not an ICCID: "),
        (
            UNKNOWN_ICCID,
            f"does not know these SIMs, or does not show them to this account: {UNKNOWN_ICCID}",
        ),
        (f"{ICCID} {UNKNOWN_ICCID}", f"to this account: {UNKNOWN_ICCID}."),
    ],
)
async def test_wrong_iccids(hass: HomeAssistant, set_up: SetUp, typed: str, says: str) -> None:
    """Wrong ICCIDs are named, nothing is added, and what was typed is still there to be mended."""
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, typed)

    assert result["type"] is FlowResultType.FORM
    assert says in await error_text(hass, result, "config_subentries")
    (field,) = result["data_schema"].schema
    assert field.description["suggested_value"] == typed
    assert not entry.subentries

    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"iccids": ICCID}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_mending_asks_only_for_what_is_new(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """SIMs that were found are not looked up again when the others are mended."""
    entry = await set_up()
    result = await add_sims(hass, entry.entry_id, f"{ICCID} {UNKNOWN_ICCID}")
    portal.faults.add("status", status=500)

    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"iccids": ICCID}
    )

    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_sim_of_another_account(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """A SIM belongs to one account only."""
    await set_up(ICCID)
    other = await set_up(base_url=f"{portal.url[: -len('/api')]}/apiv2")

    result = await add_sims(hass, other.entry_id, f"{ICCID} {OTHER_ICCID}")

    assert f"here or below another account: {ICCID}." in await error_text(
        hass, result, "config_subentries"
    )
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"iccids": OTHER_ICCID}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "reset_after_read"}, "could not be reached"),
        (
            {"kind": "status", "status": 500},
            f"answered with an error for {ICCID} (HTTP status 500)",
        ),
        ({"kind": "rate_limited"}, "asked too often"),
        ({"kind": "status", "status": 401}, "refused the credentials of this account"),
    ],
)
async def test_portal_fails_while_adding(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fault: dict[str, Any], says: str
) -> None:
    """A portal that fails is named, nothing is lost, and it can be tried again."""
    entry = await set_up()
    portal.faults.add(**fault)

    result = await add_sims(hass, entry.entry_id, ICCID)

    assert says in await error_text(hass, result, "config_subentries")
    assert not entry.subentries

    portal.faults.clear()
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"iccids": ICCID}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    "refused", [{"GetDevice"}, {"GetDevice", "ctdUsage"}, {"GetDevice", "getStatus"}]
)
async def test_network_without_some_routes(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, refused: set[str]
) -> None:
    """A SIM is found through whatever route its network answers."""
    portal.sims[ICCID].refused_routes = frozenset(refused)
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, ICCID)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"SIM {ICCID}"


@pytest.mark.parametrize("variant", ["400", "404_html", "200_empty"])
async def test_unknown_in_other_words(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, variant: str
) -> None:
    """However the portal says that it does not know a SIM, it is not added."""
    portal.dialects["unknown_iccid"] = variant
    entry = await set_up()

    result = await add_sims(hass, entry.entry_id, UNKNOWN_ICCID)

    assert result["errors"] == {"iccids": "iccid_not_found"}


async def test_account_not_connected(hass: HomeAssistant, set_up: SetUp) -> None:
    """SIMs cannot be looked up while their account is not connected."""
    entry = await set_up(secret_key="wrong")

    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "sim"), context={"source": SOURCE_USER}
    )

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "entry_not_loaded"


async def test_reconfigure(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """An account can move to another address and secret, in a form that knows what it can."""
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


async def test_reconfigure_to_another_entry(
    hass: HomeAssistant, portal: MockPortal, set_up: SetUp
) -> None:
    """An account cannot become one that is there already."""
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
    """Polling and defaults can be changed, and hold at once."""
    entry = await set_up(OTHER_ICCID)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["step_id"] == "init"

    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {
            "poll_interval": 5,
            "request_rate": 2,
            "request_width": 1,
            "billing_day": 15,
            "data_unit": "kilobytes",
        },
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    # The mock reports 1,500,000 of them.
    assert float(state_of(hass, OTHER_ICCID, "data_usage")) == 1500
    portal.sims[OTHER_ICCID].set_status("DEACTIVATED")
    freezer.tick(timedelta(minutes=6))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, OTHER_ICCID, "status") == "deactivated"


async def test_sim_settings(hass: HomeAssistant, portal: MockPortal, set_up: SetUp) -> None:
    """What the user knows better of a SIM holds for that SIM, at once and without a reload."""
    entry = await set_up(ICCID, OTHER_ICCID)
    subentry = next(sub for sub in entry.subentries.values() if sub.unique_id == OTHER_ICCID)
    portal.journal.clear()
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)

    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"allowance": 10, "billing_day": 15, "data_unit": "bytes"}
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["reason"] == "reconfigure_successful"
    assert float(state_of(hass, OTHER_ICCID, "data_used_percent")) == 15
    assert {call.iccid for call in portal.journal} == {OTHER_ICCID}


async def test_sim_renamed(hass: HomeAssistant, set_up: SetUp) -> None:
    """A SIM that is renamed renames its device."""
    entry = await set_up(ICCID)
    (subentry,) = entry.subentries.values()

    hass.config_entries.async_update_subentry(entry, subentry, title="Pump")
    await hass.async_block_till_done(wait_background_tasks=True)

    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, ICCID), entry.entry_id)
    assert device is not None
    assert device.name == "Pump"
