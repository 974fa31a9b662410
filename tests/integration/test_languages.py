"""A person whose Home Assistant is German reads no English, except in what the portal says."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations
import pytest

from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.follow_up import PATIENCE, QUICK_CHECKS
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import advance_time, call_action, device_id, find_issue, request_status_change

SHORT = f"SIM …{ICCID[-4:]}"


@pytest.fixture(autouse=True)
def german(hass: HomeAssistant) -> None:
    """Make German the language of Home Assistant."""
    hass.config.language = "de"


@pytest.fixture
def nothing_loaded(translations_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load translations anew; otherwise all tests share those that one of them has loaded."""
    shared = translations_once.kwargs["return_value"]
    for name in ("cache", "loaded"):
        monkeypatch.setattr(shared, name, {})


async def text_of(hass: HomeAssistant, key: str, category: str, placeholders: Any) -> str:
    """Return a text as the frontend shows it."""
    texts = await async_get_translations(hass, "de", category, [DOMAIN])
    return texts[f"component.{DOMAIN}.{key}"].format(**placeholders)


async def error_of(hass: HomeAssistant, action: str, data: dict[str, Any]) -> str:
    """Return the error of an action as the frontend shows it."""
    with pytest.raises(HomeAssistantError) as raised:
        await call_action(hass, action, data, return_response=action.startswith("get"))
    key = f"exceptions.{raised.value.translation_key}.message"
    return await text_of(hass, key, "exceptions", raised.value.translation_placeholders)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 500}, "mit einem Fehler beantwortet: HTTP-Status 500."),
        (
            {"kind": "status", "status": 400, "body": {"errorMessage": "Sorry."}},
            "mit einem Fehler beantwortet: „Sorry“.",
        ),
        (
            {"kind": "reset_before_read"},
            f"{SHORT} nicht erreicht werden: die Verbindung ist abgebrochen.",
        ),
        (
            {"kind": "status", "status": 200, "body": "<html>Hotel</html>"},
            "mit einem Fehler beantwortet: die Antwort stammt nicht vom Portal; prüfe dessen Adresse.",
        ),
    ],
)
async def test_failures(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, fault: dict[str, Any], says: str
) -> None:
    """What went wrong is in German, and the portal's own words are quoted."""
    entry = await set_up(ICCID)
    portal.faults.add(**fault)

    error = await error_of(hass, "get_sim", {"device_id": device_id(hass, entry, ICCID)})

    assert error.endswith(says)


async def test_many_sims(hass: HomeAssistant, set_up: SetUp, portal: MockPortal) -> None:
    """An error about several SIMs has what happened to each in German."""
    entry = await set_up(ICCID, OTHER_ICCID)
    portal.faults.add(
        "status", route="SendSMS", iccid=ICCID, status=404, body={"errorMessage": "x"}
    )
    devices = [device_id(hass, entry, iccid) for iccid in (ICCID, OTHER_ICCID)]
    data = {"device_id": devices, "message": "Hallo"}
    said = f"Das IoT Portal kennt {SHORT} nicht: „x“. Möglicherweise gehört die SIM nicht mehr zu diesem Konto."

    assert await error_of(hass, "send_sms", data) == (
        f"Bei 1 von 2 SIMs ist die Aktion fehlgeschlagen. {said}"
    )
    answer = await call_action(hass, "send_sms", data)
    assert answer["sims"][0]["error"] == said


@pytest.mark.parametrize(
    ("action", "data", "says"),
    [
        (
            "request_status_change",
            {"status": "retired"},
            "Der Status Stillgelegt kann nicht rückgängig gemacht werden.",
        ),
        (
            "request_status_change",
            {"status": "Sleeping"},
            "Aktiviert (activated), Deaktiviert (deactivated)",
        ),
        (
            "set_sim_settings",
            {"allowance": 3, "billing_day": 1, "reset": ["allowance", "billing_day"]},
            "zurückgesetzt werden (Inklusivvolumen, Abrechnungstag).",
        ),
    ],
)
async def test_words(
    hass: HomeAssistant, set_up: SetUp, action: str, data: dict[str, Any], says: str
) -> None:
    """Statuses and settings have the names that they have elsewhere."""
    entry = await set_up(ICCID)

    assert says in await error_of(
        hass, action, {"device_id": device_id(hass, entry, ICCID), **data}
    )


async def test_repair(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """The repair issue of a status that was not reached has the status as the sensor shows it."""
    entry = await set_up(ICCID)
    portal.dialects["status_change"] = "never"
    await request_status_change(hass, entry)
    for _ in QUICK_CHECKS:
        await advance_time(hass, freezer, timedelta(minutes=10))
    await advance_time(hass, freezer, PATIENCE)

    issue = find_issue(hass, "status_change_timed_out", entry)

    assert issue is not None
    key = "issues.status_change_timed_out.title"
    title = await text_of(hass, key, "issues", issue.translation_placeholders)
    assert "den Status Aktiviert nicht" in title


@pytest.mark.usefixtures("nothing_loaded")
async def test_first_account(hass: HomeAssistant) -> None:
    """The form of the first account says in German why the portal cannot be reached."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"],
        {
            "environment": "custom",
            "client_id": "x",
            "secret_key": "y",
            "other": {"base_url": "http://127.0.0.1:1"},
        },
    )

    assert result["errors"] == {"base": "cannot_connect"}
    placeholders = result["description_placeholders"]
    said = await text_of(hass, "config.error.cannot_connect", "config", placeholders)
    assert "(127.0.0.1:1 hat die Verbindung abgelehnt)" in said


@pytest.mark.usefixtures("nothing_loaded")
async def test_language_is_not_loaded(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal
) -> None:
    """Until Home Assistant has loaded another language, reasons are in English."""
    entry = await set_up(ICCID)
    hass.config.language = "fr"
    portal.faults.add("status", status=500)

    with pytest.raises(HomeAssistantError, match="error: HTTP status 500"):
        await call_action(hass, "get_sim", {"device_id": device_id(hass, entry, ICCID)})
