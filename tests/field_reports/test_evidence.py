"""Weak evidence must not ask for a secret, make a SIM gone or a route refused, or hide data for long."""

from datetime import timedelta
import logging
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.iot_portal.const import DOMAIN

from .home import A_POLL, ICCID, MB, OTHER_ICCID, Home
from .odd_portal import Answer, dropped, page, raw, says

NOTHING = (STATE_UNAVAILABLE, STATE_UNKNOWN)
REFUSED = {"errorMessage": "Invalid credentials", "errorCode": "10000001"}
UNAUTHORIZED = {"message": "Unauthorized"}
OVER = {"success": False, "message": "Session terminated, re-login, please."}


@pytest.fixture
def used(home: Home) -> Home:
    """Return a Home Assistant whose SIM has used 5 MB of an allowance of 1 GB."""
    home.portal.set(ICCID, ctdDataUsage=5 * MB)
    return home


# --- One part, one poll -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 405, 501, 401, 200])
@pytest.mark.parametrize("where", ["*", "ctdUsage", "GetDevice", "sessionInfo"])
async def test_page_for_one_poll(used: Home, where: str, status: int) -> None:
    """The data is back at the next poll. One page does not make a working route refused.

    Case: in one poll, every request or one route is answered with a page
    Source: home-assistant/core 152205; hass-WEM-Portal 68
    """
    await used.start()
    used.portal.always(where, page(status))
    used.portal.set(ICCID, ctdSessionCount=2)
    # Everything is due.
    await used.wait(timedelta(hours=7))
    used.portal.well()
    used.portal.set(ICCID, ctdDataUsage=6 * MB)

    await used.poll()

    assert used.megabytes() == 6
    assert used.shows("binary_sensor.projected_overage") == "off"
    assert used.shows("rate_plan") not in NOTHING
    assert used.shows("session_started") not in NOTHING
    assert used.repairs == []
    assert used.told == []
    assert not used.asks_for_secret


async def test_reload_after_pages(used: Home) -> None:
    """A reload brings the data back.

    Case: pages instead of the usage, then a reload of the account
    Source: home-assistant/core 152205; hass-WEM-Portal 68
    """
    await used.start()
    used.portal.always("ctdUsage", page(403))
    await used.poll()
    used.portal.well()

    await used.reload()

    assert used.megabytes() == 5


async def test_gateway_of_one_route(used: Home) -> None:
    """The rest stays available. There is no event and no error in the log.

    Case: only the usage is sometimes answered with 504 and a page
    Source: cjaliaga/home-assistant-aquarea 134 and 128
    """
    await used.start()
    for _ in range(5):
        used.portal.once("ctdUsage", page(504))
        await used.poll()
        await used.poll()
        assert used.megabytes() == 5
        assert used.shows("status") == "activated"

    assert used.told == []
    assert used.repairs == []


@pytest.mark.parametrize(
    "answer",
    [
        page(),
        raw("Service under maintenance", Content_Type="text/plain"),
    ],
)
async def test_text_in_place_of_a_status(home: Home, answer: Answer) -> None:
    """This is not a status, and no change is reported.

    Case: `getStatus` is answered with 200 and a page or a sentence
    Source: TecharoHQ/anubis 473; hubmapconsortium/portal-ui 1854
    """
    home.portal.set(ICCID, status=None)
    home.portal.always("getStatus", raw("ACTIVATED"))
    await home.start()
    assert home.shows("status") == "activated"
    home.portal.once("getStatus", answer)

    await home.poll()
    await home.poll()

    assert home.shows("status") == "activated"
    assert "status_changed" not in home.kinds


async def test_part_that_always_fails(used: Home) -> None:
    """It is requested less and less often. Everything else is read as often as before.

    Case: `sessionInfo` is always answered with 500
    Source: our own trial with an unusual test portal
    """
    used.portal.always("sessionInfo", says({}, status=500))
    await used.start()
    await used.hours(12)
    sessions, usages = used.portal.count("sessionInfo"), used.portal.count("ctdUsage")
    await used.hours(12)

    assert used.portal.count("ctdUsage") - usages >= 25
    assert used.portal.count("sessionInfo") - sessions <= 13


async def test_part_that_never_answers(used: Home) -> None:
    """The parts that were received are shown, and the queue does not grow.

    Case: `sessionInfo` is never answered
    Source: home-assistant/core PR 40540; jdejaegh/irm-kmi-ha 23
    """
    used.portal.always("sessionInfo", dropped())
    await used.start()
    used.use(6)
    before = used.portal.count()

    await used.poll(4)

    assert used.megabytes() == 6
    assert used.shows("rate_plan") not in NOTHING
    assert used.portal.count() - before < 4 * 4
    assert used.log(logging.WARNING) == []


async def test_connection_closed_in_a_poll(used: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SIM stays available, and no warning is logged.

    Case: an idle connection is closed without a byte at the moment a poll uses it
    Source: home-assistant/core 85415; StevenLooman/async_upnp_client PR 93
    """
    monkeypatch.setattr("custom_components.iot_portal.api.client.READ_ATTEMPTS", 2)
    monkeypatch.setattr("custom_components.iot_portal.api.client.uniform", lambda *_: 0)
    await used.start()
    used.portal.once("ctdUsage", dropped())
    used.use(6)

    await used.poll()

    assert used.megabytes() == 6
    assert used.log(logging.WARNING) == []


async def test_expired_sim(used: Home) -> None:
    """Only its usage is unavailable, and no route counts as refused.

    Case: the usage of one SIM is refused with 422 because of its own state
    Source: 1NCE, SIM usage OpenAPI
    """
    used.portal.always(f"ctdUsage/{ICCID}", says({"errorMessage": "SIM expired"}, status=422))
    await used.start(ICCID, OTHER_ICCID)
    await used.hours(12)

    assert used.repairs == []
    assert used.megabytes(OTHER_ICCID) == 0
    assert used.portal.count(f"ctdUsage/{ICCID}") < used.portal.count(f"ctdUsage/{OTHER_ICCID}")


# --- The log-in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 401, 400, 404, 405, 501, 200])
async def test_page_at_the_log_in(used: Home, status: int) -> None:
    """The log-in is tried again later, and the user is not asked for a new secret.

    Case: the token is refused, then `Login` is answered with a page once
    Source: HA_VAG-EU-Data-Act 52; ha-harvia-sauna 8
    """
    await used.start()
    used.portal.once("ctdUsage", says(REFUSED, status=401))
    used.portal.once("Login", page(status))
    await used.poll()
    assert not used.asks_for_secret

    await used.poll(3)

    assert used.megabytes() == 5
    assert not used.asks_for_secret
    assert used.repairs == []


@pytest.mark.parametrize("status", [403, 401, 400, 200])
async def test_page_at_the_first_log_in(used: Home, status: int) -> None:
    """Home Assistant tries again by itself.

    Case: when Home Assistant starts, `Login` is answered with a page
    Source: HA_VAG-EU-Data-Act 52; ha-harvia-sauna 8
    """
    used.portal.always("Login", page(status))
    await used.start()
    assert used.entry.state is ConfigEntryState.SETUP_RETRY
    assert not used.asks_for_secret
    used.portal.well()

    await used.wait(timedelta(minutes=10))

    assert used.megabytes() == 5


@pytest.mark.parametrize("answer", [says({}, status=401), raw("", status=401), raw("", status=403)])
async def test_maintenance_with_bare_401(used: Home, answer: Answer) -> None:
    """The user is not asked for a new secret, and the data comes back by itself.

    Case: during maintenance, everything is answered with a bare 401 for 40 minutes
    Source: home-assistant/core PR 91228 and PR 92399; owncloud/client 3836
    """
    await used.start()
    used.portal.always("*", answer)
    await used.poll(2)
    assert not used.asks_for_secret
    used.portal.well()

    await used.wait(timedelta(hours=1))
    await used.poll()

    assert used.megabytes() == 5
    assert not used.asks_for_secret
    assert used.told == []


async def test_lasting_bare_401(used: Home) -> None:
    """A refusal that repeats for a long time is believed: the user is asked for a new secret.

    Case: `Login` is answered with a bare 401 for half a day
    Source: home-assistant/core PR 91228
    """
    await used.start()
    used.portal.always("*", raw("", status=401))

    for _ in range(12):
        await used.wait(timedelta(hours=1))

    assert used.asks_for_secret


async def test_secret_refused_by_the_portal(used: Home) -> None:
    """An error code of the portal is believed at once.

    Case: `Login` is answered with 401 and the code for invalid credentials
    Source: docs/api.md, Errors
    """
    await used.start()
    used.portal.always("*", says(REFUSED, status=401))

    await used.poll()

    assert used.asks_for_secret


async def test_quota_with_401(used: Home) -> None:
    """The user is not asked for a new secret, log-ins do not pile up, and the data comes back by itself.

    Case: above the daily quota every read is answered with 401, even with new tokens; `Login` works
    Source: OpenWonderLabs/SwitchBotAPI 144; CDCgov/trusted-intermediary 1552
    """
    await used.start(ICCID, OTHER_ICCID)
    for route in ("ctdUsage", "GetDevice", "sessionInfo", "getStatus"):
        used.portal.always(route, says(UNAUTHORIZED, status=401))
    await used.hours(12)
    log_ins = used.portal.count("Login")
    assert not used.asks_for_secret
    assert log_ins <= 2 * 12 * 60 / 15
    used.portal.well()

    await used.wait(timedelta(hours=1))
    await used.poll()

    assert used.megabytes() == 5


async def test_new_token_not_valid_yet(used: Home) -> None:
    """The user is not asked for anything, and the next poll works.

    Case: for some seconds after a log-in, the new token is refused
    Source: hexclave/hexclave PR 1771; Azure/azure-mobile-apps-js-client 270; jamesremuscat/pyze PR 58
    """
    await used.start()
    used.portal.once("ctdUsage", says({}, status=401), says({}, status=401))
    await used.poll()
    assert not used.asks_for_secret

    await used.poll()

    assert used.megabytes() == 5
    assert not used.asks_for_secret


async def test_401_for_one_sim(used: Home) -> None:
    """Only this part of this SIM is unavailable, and it is requested less often.

    Case: the usage of one SIM is answered with 401, even after a new log-in; everything else works
    Source: patricktr/NoLongerEvil-HomeAssistant PR 9
    """
    await used.start(OTHER_ICCID, ICCID)
    used.portal.always(f"ctdUsage/{ICCID}", says({}, status=401))
    await used.hours(12)
    log_ins = used.portal.count("Login")
    await used.hours(12)

    assert not used.asks_for_secret
    assert used.megabytes(OTHER_ICCID) == 0
    assert used.portal.count("Login") - log_ins <= 26


@pytest.mark.parametrize(
    "said", [OVER, {"data": {"error": "Invalid token"}}, {"success": False, "error": "expired"}]
)
async def test_expired_token_with_200(used: Home, said: dict[str, Any]) -> None:
    """The SIM is neither gone nor empty, and the next poll works.

    Case: a read is answered with 200 and a text that the session has expired
    Source: HenriqueCaires/ZabbixApi PR 49
    """
    await used.start()
    used.portal.once("ctdUsage", says(said))
    used.portal.once("getStatus", says(said))
    await used.poll()
    assert used.shows("data_usage") in {"5.0", *NOTHING}

    await used.poll()

    assert used.megabytes() == 5
    assert used.repairs == []
    assert used.told == []


async def test_session_stays_expired(used: Home) -> None:
    """The client logs in again, and the SIM does not count as gone meanwhile.

    Case: every read is answered with 200 and a text that the session has expired, until a new log-in
    Source: HenriqueCaires/ZabbixApi PR 49; directus/v8-archive 1054
    """
    await used.start()
    log_ins = used.portal.count("Login")
    for route in ("ctdUsage", "GetDevice", "sessionInfo", "getStatus"):
        used.portal.always(route, says(OVER))

    for _ in range(5):
        await used.wait(timedelta(hours=1))

    assert used.portal.count("Login") > log_ins
    assert not used.asks_for_secret


@pytest.mark.parametrize(
    "answer",
    [
        says({"errorMessage": "Expired request token", "errorCode": "110"}, status=500),
        says({"error": {"message": "Session has expired"}}, status=500),
        raw("invalid token", status=500, Content_Type="text/plain"),
        page(500, "Your session has expired"),
    ],
)
async def test_expired_token_with_500(used: Home, answer: Answer) -> None:
    """The client logs in again once, and the data comes back without a reload.

    Case: reads with an old token are answered with 500 and a text or a page about the token or the session
    Source: directus/v8-archive 1054; ilios/ilios 904
    """
    await used.start()
    await used.hours(1)
    log_ins = used.portal.count("Login")
    used.portal.expire(answer)
    used.use(6)

    await used.poll(2)

    assert used.portal.count("Login") == log_ins + 1
    assert used.megabytes() == 6


async def test_write_with_an_expired_token(used: Home) -> None:
    """The write is not sent a second time.

    Case: `SendSMS` with an old token is answered with 500 and a text about the token
    Source: directus/v8-archive 1054; ilios/ilios 904
    """
    await used.start()
    await used.hours(1)
    used.portal.expire(says({"errorMessage": "Expired request token"}, status=500))

    with pytest.raises(HomeAssistantError):
        await used.act("send_sms", message="Restart")

    assert used.portal.count("SendSMS") == 1


async def test_redirect_to_a_page(used: Home) -> None:
    """No page becomes a value, and the next poll works.

    Case: reads are redirected to a log-in page for a while
    Source: VirtoCommerce/vc-platform PR 3093; MarkUsProject/Markus 764
    """
    await used.start()
    used.portal.always("ctdUsage", raw("", status=302, Location="/Account/Login"))
    used.portal.always("Account", page())
    await used.poll(2)
    used.portal.well()

    await used.poll()

    assert used.megabytes() == 5
    assert used.told == []
    assert not used.asks_for_secret


@pytest.mark.parametrize("status", [200, 403, 400])
async def test_account_is_locked(used: Home, status: int) -> None:
    """The user is not asked for a new secret, log-ins are tried less and less often, and it recovers by itself.

    Case: `Login` is answered that the account is locked for a day, without a known code
    Source: home-assistant/core 176831 and PR 142874; oyvindwe/connectlife-ha 224
    """
    await used.start()
    locked = {"success": False, "message": "Current account has been locked", "code": 507}
    used.portal.once("ctdUsage", says(REFUSED, status=401))
    used.portal.always("Login", says(locked, status=status))
    await used.poll(2)
    assert not used.asks_for_secret
    log_ins = used.portal.count("Login")
    await used.wait(timedelta(minutes=30))
    assert used.portal.count("Login") - log_ins <= 2
    used.portal.well()

    await used.wait(timedelta(hours=1))
    await used.poll()

    assert used.megabytes() == 5


async def test_rate_limit_in_the_dialog(home: Home) -> None:
    """The form says that there were too many requests, not that the credentials are wrong.

    Case: the log-in is answered with 429
    Source: home-assistant/core 146416
    """
    home.portal.always("Login", says({"errorCode": "40000029"}, status=429, Retry_After="7200"))
    flow = await home.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})

    result = await home.hass.config_entries.flow.async_configure(
        flow["flow_id"],
        {
            "environment": "custom",
            "client_id": "an-id",
            "secret_key": "a-secret",
            "other": {"base_url": home.portal.url},
        },
    )

    assert result["errors"] == {"base": "rate_limited"}


# --- The SIM ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 200])
async def test_sim_is_not_gone_after_pages(used: Home, status: int) -> None:
    """The SIM does not count as gone while the portal answers with pages.

    Case: every read of a SIM is answered with a page for two polls
    Source: home-assistant/core 152205; hass-WEM-Portal 68
    """
    await used.start()
    for route in ("ctdUsage", "getStatus"):
        used.portal.always(route, page(status))
    await used.poll(2)
    assert used.repairs == []
    used.portal.well()

    await used.wait(timedelta(hours=1))
    await used.poll()

    assert used.megabytes() == 5


async def test_answers_of_another_account(used: Home) -> None:
    """They are ignored. No data of other people is shown or reported, and the own values come back.

    Case: for some polls, the well-formed answers are about other people's SIMs
    Source: home-assistant/core 181420
    """
    stranger = "8931080000000007777"
    await used.start(options={"watch_sms": True})
    fields = {"ctdDataUsage": 900 * MB, "imei": "352099001761481", "status": "RETIRED"}
    used.portal.always("ctdUsage", says(used.portal.example("ctdUsage", stranger, **fields)))
    used.portal.always("GetDevice", says(used.portal.example("GetDevice", stranger, **fields)))
    used.portal.always("GetSMSIds", says({"smsMsgIds": [4711], "lastPage": True}))
    used.portal.always(
        "GetSMS",
        says({"smsMsgId": 4711, "iccid": stranger, "msgType": "MO", "messageText": "Secret"}),
    )
    for _ in range(3):
        await used.poll()
        assert used.shows("data_usage") in {"5.0", *NOTHING}
    used.portal.well()

    await used.wait(timedelta(hours=1))
    await used.poll()

    assert used.megabytes() == 5
    assert used.told == []
    assert used.repairs == []


@pytest.mark.parametrize(
    "said",
    [
        {"success": False, "message": "ICCID not found"},
        {"data": None},
        [None],
        {"iccid": OTHER_ICCID, "status": "ACTIVATED"},
        {"status": "error", "message": "no such SIM"},
        {"status": "fail", "data": {"iccid": "not found"}},
        {"status": 404, "error": "Not Found", "path": "/GetDevice"},
        {"iccid": None, "status": None, "ctdDataUsage": None},
        {"iccid": "", "status": "", "ratePlan": ""},
    ],
)
async def test_unknown_sim_is_not_added(home: Home, said: Any) -> None:
    """The SIM is not found, so it is not added.

    Case: in the dialog every read is answered with 200 and "ICCID not found", an error, nothing, nulls, or another SIM
    Source: WindowsDevicePortalWrapper 129; eSIM-Tools PR 60; cordova-plugin-sim 30
    """
    await home.start(OTHER_ICCID)
    home.portal.always("*", says(said))

    await home.add_sims(ICCID)

    assert home.iccids == [OTHER_ICCID]
    assert home.repairs == []


# --- Writes -----------------------------------------------------------------------------------------------------------


async def test_page_after_an_sms(home: Home) -> None:
    """The action says that the outcome is unknown, and so does the event.

    Case: `SendSMS` is answered with 200 and a page
    Source: ZTE_API_and_Hack 2, 3; textbelt 44
    """
    await home.start()
    home.portal.always("SendSMS", page())

    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await home.act("send_sms", message="Hello")

    await home.settle()
    assert home.kinds == ["sms_unconfirmed"]


async def test_ok_after_an_sms(home: Home) -> None:
    """The SMS counts as sent, and no SMS with the ID "OK" is requested.

    Case: `SendSMS` is answered with `OK`
    Source: ZTE_API_and_Hack 2, 3; textbelt 44
    """
    await home.start()
    home.portal.always("SendSMS", raw("OK"))

    await home.act("send_sms", message="Hello")
    await home.hours(3)

    assert home.kinds[0] == "sms_sent"
    assert not home.portal.count("GetSMS")


@pytest.mark.parametrize(
    "answer",
    [{"status": "error", "message": "no credit"}, {"success": 0}, {"error": {"message": "no"}}],
)
async def test_error_after_an_sms(home: Home, answer: Any) -> None:
    """The action does not say that the SMS was sent.

    Case: `SendSMS` is answered with 200 and `{"status": "error"}`, `{"success": 0}` or `{"error": ...}`
    Source: similar to ZTE_API_and_Hack 2, 3 and WindowsDevicePortalWrapper 129
    """
    await home.start()
    home.portal.always("SendSMS", says(answer))

    with pytest.raises(HomeAssistantError):
        await home.act("send_sms", message="Restart")


async def test_page_after_a_status_request(home: Home) -> None:
    """The action says that the outcome is unknown.

    Case: `RequestStatusChange` is answered with 200 and a page
    Source: ZTE_API_and_Hack 2, 3; textbelt 44
    """
    await home.start()
    home.portal.always("RequestStatusChange", page())

    with pytest.raises(HomeAssistantError, match="may have been carried out"):
        await home.act("request_status_change", status="deactivated")


async def test_pause_until_a_date_without_zone_in_polls(home: Home) -> None:
    """Polls, actions and dialogs continue without a traceback.

    Case: `Retry-After` with a date that ends in `-0000`
    Source: docling PR 3786; pydantic-ai 7677
    """
    await home.start()
    busy = says({}, status=429, Retry_After="Sat, 14 Nov 2026 12:30:22 -0000")
    home.portal.always("*", busy)
    await home.poll()
    with pytest.raises(HomeAssistantError):
        await home.act("send_sms", message="Hello")
    await home.add_sims("8931080000000007777")

    assert home.tracebacks == []
    home.portal.well()
    await home.wait(timedelta(hours=1))
    await home.poll()
    assert home.megabytes() == 0


async def test_odd_bodies(home: Home) -> None:
    """None of them causes an error of ours in the log.

    Case: each route in turn is answered with each odd body
    Source: home-assistant/core 179668; BassXT/buderus 7; binsentsu/home-assistant-solaredge-modbus 379
    """
    await home.start(options={"watch_sms": True})
    bodies = (b"null", b"[null]", b"true", b"0", b'""', b"NaN", b"[[[]]]", b'{"data": {}}', b"\xff")
    for route in ("ctdUsage", "GetDevice", "sessionInfo", "GetSMSIds"):
        for body in bodies:
            home.portal.once(route, raw(body))
            await home.wait(A_POLL + timedelta(hours=6))
            await home.poll()

    assert home.tracebacks == []
    assert home.megabytes() == 0
    assert home.told == []
