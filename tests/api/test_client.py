"""The client against the mock portal, on a real socket."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
import secrets
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientSession
from aiohttp.test_utils import unused_port
import pytest

from custom_components.iot_portal.api import (
    Credentials,
    Evidence,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalLoginError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    IotPortalTimeoutError,
)
from custom_components.iot_portal.api.pacing import PauseReason, Priority, priority
from mock_portal import MockPortal

from .conftest import CREDENTIALS, ICCID, MakeClient

# Longer than a test may take, in seconds.
NEVER = 1000
UNKNOWN_ICCID = "8931000000000000000"


async def test_usage(client: IotPortalClient) -> None:
    """The documented usage is read into numbers; an unknown count is None."""
    usage = await client.get_usage(ICCID)

    assert (usage.iccid, usage.imsi) == (ICCID, "204080823514892")
    assert (usage.msisdn, usage.imei) == ("3197044863841", "8613300585142338")
    assert usage.status == "INVENTORY"
    assert (usage.data_bytes, usage.sms_count, usage.voice_seconds) == (0, 0, 0)
    assert usage.session_count is None


async def test_same_usage(client: IotPortalClient, portal: MockPortal) -> None:
    """An answer that equals the known one is that one; a different one is read."""
    known = await client.get_usage(ICCID)

    assert await client.get_usage(ICCID, known) is known
    portal.sims[ICCID].data_usage = 5
    assert (await client.get_usage(ICCID, known)).data_bytes == 5


async def test_empty_usage(client: IotPortalClient, portal: MockPortal) -> None:
    """A list without a SIM, which says that nothing was used, differs from an object that says nothing."""
    portal.faults.add("status", route="ctdUsage", status=200, body="[]", times=1)
    assert (await client.get_usage(ICCID)).is_empty

    portal.faults.add("status", route="ctdUsage", status=200, body="{}", times=1)
    assert not (await client.get_usage(ICCID)).is_empty


async def test_device(client: IotPortalClient) -> None:
    """The documented device is read into typed values; raw keeps the other fields."""
    device = await client.get_device(ICCID)

    assert device.rate_plan == "Pangea EU Economy 300MB"
    assert device.label == "Pangea test SIM"
    assert device.date_activated == datetime(2023, 6, 23, 11, 14, 37, 998000, UTC)
    assert device.allowance is not None
    assert device.allowance.in_bytes() == 10**9
    assert device.fixed_ip is None
    assert device.raw["zh_q_id"] == "test12345"


async def test_session(client: IotPortalClient) -> None:
    """The documented session has ended."""
    session = await client.get_session(ICCID)

    assert session.ip_address == "100.126.61.98"
    assert session.started == session.ended == datetime(2023, 8, 16, 10, 50, 7, 220000, UTC)
    assert not session.is_open


async def test_same_session(client: IotPortalClient, portal: MockPortal) -> None:
    """An answer that equals the known one is that one; a different one is read."""
    known = await client.get_session(ICCID)

    assert await client.get_session(ICCID, known) is known
    portal.sims[ICCID].set_status("ACTIVATED")
    portal.sims[ICCID].open_session()
    assert (await client.get_session(ICCID, known)).is_open


async def test_same_session_that_could_not_be_read(client: IotPortalClient) -> None:
    """A known session that could not be read, such as one in the future, is read again from the same answer."""
    known = replace(await client.get_session(ICCID), is_unreadable=True)

    assert not (await client.get_session(ICCID, known)).is_unreadable


async def test_open_session(client: IotPortalClient, portal: MockPortal) -> None:
    """A session that has started and not ended is open."""
    portal.sims[ICCID].set_status("ACTIVATED")
    portal.sims[ICCID].open_session()

    assert (await client.get_session(ICCID)).is_open


async def test_status(client: IotPortalClient) -> None:
    """The documented status is read."""
    assert await client.get_status(ICCID) == "INVENTORY"


async def test_sms(client: IotPortalClient, portal: MockPortal) -> None:
    """A sent SMS is found under its id."""
    identifier = await client.send_sms(ICCID, "Hello")

    assert identifier is not None
    assert (await client.get_sms_list(ICCID)).ids == [identifier]
    sms = await client.get_sms(identifier)
    assert (sms.sms_id, sms.iccid, sms.text) == (identifier, ICCID, "Hello")
    assert sms.status == "Pending"
    assert sms.is_incoming is False
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


async def test_status_change(client: IotPortalClient) -> None:
    """A requested status is read afterwards."""
    await client.request_status_change(ICCID, "ACTIVATED")

    assert await client.get_status(ICCID) == "ACTIVATED"


async def test_edit_device(client: IotPortalClient, portal: MockPortal) -> None:
    """Changed fields of a SIM arrive at the portal."""
    await client.edit_device(ICCID, {"status": "ACTIVATED"})

    assert portal.sims[ICCID].status == "ACTIVATED"


async def test_bulk_edit(client: IotPortalClient, portal: MockPortal) -> None:
    """A bulk edit contains queue id and webhook only when they are given."""
    await client.bulk_edit_devices(
        [ICCID], {"status": "ACTIVATED"}, queue_id="1234", webhook_url="http://127.0.0.1:9/ping"
    )
    await client.bulk_edit_devices([ICCID], {"status": "ACTIVATED"})

    with_queue, without = portal.journal.find("PUT", "/BulkEditDevice")
    assert with_queue.body == {
        "update": {"status": "ACTIVATED"},
        "queueId": "1234",
        "webhookUrl": "http://127.0.0.1:9/ping",
        "iccids": [ICCID],
    }
    assert without.body == {"update": {"status": "ACTIVATED"}, "iccids": [ICCID]}


async def test_bodies(client: IotPortalClient, portal: MockPortal) -> None:
    """What is sent is declared as JSON; a read sends nothing."""
    await client.send_sms(ICCID, "Hello")
    await client.get_usage(ICCID)

    assert [
        (call.method, call.headers.get("Content-Type"), call.request.body == b"")
        for call in portal.journal
    ] == [
        ("POST", "application/json", False),
        ("PUT", "application/json", False),
        ("GET", None, True),
    ]


async def test_update_rule(client: IotPortalClient, portal: MockPortal) -> None:
    """A rule is sent unchanged."""
    await client.update_rule({"any": ["thing"]})

    assert [call.body for call in portal.journal.find("PUT", "/RuleUpdate")] == [{"any": ["thing"]}]


async def test_login_with_api_token(make_client: MakeClient) -> None:
    """The legacy log-in with an API token works."""
    client = make_client(Credentials(api_token="demo-token"))

    assert await client.get_status(ICCID) == "INVENTORY"


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(client_id="demo-client", secret_key="wrong-secret"),
        Credentials(api_token="wrong-secret"),
    ],
)
async def test_wrong_credentials(make_client: MakeClient, credentials: Credentials) -> None:
    """Wrong credentials raise an authentication error that does not contain them."""
    with pytest.raises(IotPortalAuthenticationError) as raised:
        await make_client(credentials).login()

    assert "wrong-secret" not in f"{raised.value!r} {credentials!r}"


async def test_repeated_secret_is_masked(client: IotPortalClient, portal: MockPortal) -> None:
    """A secret in the portal's error message is masked."""
    portal.faults.add(
        "status",
        route="Login",
        status=401,
        body={"errorMessage": "no account with demo-secret", "errorCode": "10000001"},
    )

    with pytest.raises(IotPortalAuthenticationError, match=r"no account with \*\*\*"):
        await client.login()


async def test_repeated_token_is_masked(
    client: IotPortalClient, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token in the portal's error message is masked, also while it is renewed."""
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: "a-token")
    portal.faults.add(
        "status",
        route="getStatus",
        status=401,
        body={"errorMessage": "a-token has expired", "errorCode": "10000001"},
    )

    errors = await asyncio.gather(
        *(client.get_status(ICCID) for _ in range(5)), return_exceptions=True
    )

    assert [str(error) for error in errors] == ["*** has expired"] * 5


async def test_expired_token(client: IotPortalClient, portal: MockPortal) -> None:
    """An expired token is renewed once for all concurrent requests, which then succeed."""
    await client.login()
    portal.state.revoke_tokens()
    portal.journal.clear()

    answers = await asyncio.gather(*(client.get_status(ICCID) for _ in range(20)))

    assert answers == ["INVENTORY"] * 20
    assert portal.journal.logins == 1


async def test_rejected_new_token(client: IotPortalClient, portal: MockPortal) -> None:
    """When the new token is rejected too, the client does not log in again; later requests work."""
    fault = portal.faults.add("status", route="getStatus", status=401)

    with pytest.raises(IotPortalLoginError):
        await client.get_status(ICCID)

    assert portal.journal.logins == 2
    portal.journal.assert_called("GET", f"/getStatus/{ICCID}", times=2)
    portal.faults.remove(fault.id)
    assert await client.get_status(ICCID) == "INVENTORY"


async def test_write_with_expired_token(client: IotPortalClient, portal: MockPortal) -> None:
    """A write with an expired token is sent again with a new one, and carried out once."""
    await client.login()
    portal.state.revoke_tokens()

    assert await client.send_sms(ICCID, "Hello")
    assert len((await client.get_sms_list(ICCID)).ids) == 1


async def test_unknown_iccid(client: IotPortalClient) -> None:
    """An unknown SIM raises an error of its own."""
    with pytest.raises(IotPortalNotFoundError) as raised:
        await client.get_usage(UNKNOWN_ICCID)

    assert raised.value.code == "20000001"


async def test_refused_route(client: IotPortalClient, portal: MockPortal) -> None:
    """A route that is refused for a SIM raises an error of its own; other routes work."""
    portal.sims[ICCID].refused_routes = frozenset({"sessionInfo"})

    with pytest.raises(IotPortalNotAvailableError):
        await client.get_session(ICCID)
    assert await client.get_status(ICCID) == "INVENTORY"


async def test_connection_refused(make_client: MakeClient) -> None:
    """A refused connection is a connection error, also for a write, which was not sent."""
    client = make_client(base_url=f"http://127.0.0.1:{unused_port()}/api")

    with pytest.raises(IotPortalConnectionError):
        await client.login()
    with pytest.raises(IotPortalConnectionError):
        await client.send_sms(ICCID, "Hello")


async def test_connection_timeout(make_client: MakeClient, deaf_url: str) -> None:
    """When connecting takes too long, the error says that the write was not sent."""
    client = make_client(base_url=deaf_url, timeout=0.4)

    with pytest.raises(IotPortalTimeoutError) as raised:
        await client.send_sms(ICCID, "Hello")

    assert not raised.value.may_have_arrived


@pytest.mark.parametrize("kind", ["reset_before_read", "reset_after_read", "truncated_body"])
async def test_read_without_answer(client: IotPortalClient, portal: MockPortal, kind: str) -> None:
    """A read whose answer is lost twice is repeated and succeeds."""
    await client.login()
    portal.faults.add(kind, route="ctdUsage", times=2)

    assert (await client.get_usage(ICCID)).status == "INVENTORY"
    portal.journal.assert_called("GET", f"/ctdUsage/{ICCID}", times=3)


async def test_read_gives_up(client: IotPortalClient, portal: MockPortal) -> None:
    """A read is repeated at most twice."""
    await client.login()
    portal.faults.add("reset_after_read", route="ctdUsage")

    with pytest.raises(IotPortalConnectionError) as raised:
        await client.get_usage(ICCID)
    portal.journal.assert_called("GET", f"/ctdUsage/{ICCID}", times=3)
    assert raised.value.attempts == 3


@pytest.mark.parametrize("kind", ["hang", "slow_drip"])
@pytest.mark.parametrize("importance", Priority)
async def test_timeout(
    make_client: MakeClient, portal: MockPortal, importance: Priority, kind: str
) -> None:
    """A read is not repeated after a timeout, which is shorter where no person waits."""
    waits = importance in (Priority.USER, Priority.LOOK_UP)
    client = make_client(timeout=0.3 if waits else NEVER, poll_timeout=NEVER if waits else 0.3)
    await client.login()
    portal.faults.add(kind, route="ctdUsage")

    with priority(importance), pytest.raises(IotPortalTimeoutError):
        await client.get_usage(ICCID)
    portal.journal.assert_called_once("GET", f"/ctdUsage/{ICCID}")


@pytest.mark.parametrize("kind", ["hang", "reset_after_read", "truncated_body", "oversized_body"])
async def test_write_without_answer(make_client: MakeClient, portal: MockPortal, kind: str) -> None:
    """A write whose answer is lost is reported as unknown and never sent again."""
    client = make_client(timeout=1)
    # A used connection is what tempts HTTP libraries to repeat a PUT.
    assert await client.get_status(ICCID) == "INVENTORY"
    portal.faults.add(kind, route="SendSMS")

    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.send_sms(ICCID, "Hello")
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


@pytest.mark.parametrize("status", [502, 504])
async def test_write_with_gateway_error(
    client: IotPortalClient, portal: MockPortal, status: int
) -> None:
    """The outcome of a write is unknown after a gateway error."""
    portal.faults.add("status", route="SendSMS", status=status)

    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.send_sms(ICCID, "Hello")
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


async def test_write_without_login(client: IotPortalClient, portal: MockPortal) -> None:
    """A write that was not sent because the log-in failed raises a connection error."""
    portal.faults.add("reset_after_read", route="Login")

    with pytest.raises(IotPortalConnectionError):
        await client.send_sms(ICCID, "Hello")
    portal.journal.assert_not_called("PUT", f"/SendSMS/{ICCID}/1")


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_server_error(client: IotPortalClient, portal: MockPortal, status: int) -> None:
    """A read is repeated after server errors; a write is not."""
    portal.faults.add("status", route="ctdUsage", status=status, times=2)
    portal.faults.add("status", route="SendSMS", status=status)

    assert (await client.get_usage(ICCID)).status == "INVENTORY"
    with pytest.raises(IotPortalOutcomeUnknownError, match=str(status)):
        await client.send_sms(ICCID, "Hello")
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (None, None, None),
        ("7", 7, 7),
        ("999999999", 3600, 3600),
        ("soon", None, None),
        (format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True), 0, 0),
        ("Thu, 26 Nov 2020 03:30:22 -0000", 0, 0),
        ("Thu, 99 Foo 99999 99:99:99 GMT", None, None),
        ("0.493", None, None),
        ("-3", None, None),
        ("9" * 400, 3600, 3600),
        ("", None, None),
    ],
    ids=[
        *("none", "seconds", "too long", "nonsense", "past date"),
        *("no zone", "impossible date", "fraction", "negative", "huge", "empty"),
    ],
)
async def test_rate_limit(
    client: IotPortalClient,
    portal: MockPortal,
    header: str | None,
    least: float | None,
    most: float | None,
) -> None:
    """Retry-After is read as seconds or as a date, and the read is not repeated."""
    headers = {} if header is None else {"Retry-After": header}
    portal.faults.add("status", route="ctdUsage", status=429, headers=headers)

    with pytest.raises(IotPortalRateLimitError) as raised:
        await client.get_usage(ICCID)

    retry_after = raised.value.retry_after
    if least is None or most is None:
        assert retry_after is None
    else:
        assert retry_after is not None
        assert least <= retry_after <= most
    assert client.pacer.pause_reason is PauseReason.TOO_MANY_REQUESTS
    portal.journal.assert_called_once("GET", f"/ctdUsage/{ICCID}")


@pytest.mark.parametrize(
    ("until", "least", "most"),
    [(timedelta(minutes=9), 500, 540), (timedelta(days=400), 3600, 3600)],
    ids=["soon", "far away"],
)
async def test_rate_limit_until(
    client: IotPortalClient, portal: MockPortal, until: timedelta, least: float, most: float
) -> None:
    """A date in Retry-After is read as the seconds until then, an hour at most."""
    # Not when the tests are collected, which may be minutes before this one runs.
    date = format_datetime(datetime.now(UTC) + until, usegmt=True)
    portal.faults.add("status", route="ctdUsage", status=503, headers={"Retry-After": date})

    with pytest.raises(IotPortalRateLimitError) as raised:
        await client.get_usage(ICCID)

    assert least <= (raised.value.retry_after or 0) <= most
    assert client.pacer.pause_reason is PauseReason.UNAVAILABLE


@pytest.mark.parametrize(
    "body",
    ["42", "<html>Log in</html>", "null", "", "{", "[" * 100_000],
    ids=["number", "page", "null", "empty", "broken", "deep"],
)
async def test_unreadable_answer(client: IotPortalClient, portal: MockPortal, body: str) -> None:
    """An unreadable answer is an error, not a SIM without values."""
    portal.faults.add("status", route="ctdUsage", status=200, body=body)

    with pytest.raises(IotPortalResponseError):
        await client.get_usage(ICCID)


async def test_page_instead_of_status(client: IotPortalClient, portal: MockPortal) -> None:
    """A page of HTML is not taken for a status."""
    portal.faults.add("status", route="getStatus", status=200, body="<html>Log in</html>")

    with pytest.raises(IotPortalResponseError):
        await client.get_status(ICCID)


async def test_login_without_token(client: IotPortalClient, portal: MockPortal) -> None:
    """A log-in that is answered without a token was refused, also with a 2xx status."""
    portal.dialects["login_failure"] = "200_no_token"
    portal.state.accounts["demo-client"].secret_key = "another"

    with pytest.raises(IotPortalAuthenticationError) as raised:
        await client.login()
    assert raised.value.status == 200


async def test_login_refused_in_plain_text(client: IotPortalClient, portal: MockPortal) -> None:
    """A log-in that is refused in plain text, without a code, is an authentication error."""
    portal.dialects.update({"login_failure": "400", "error_envelope": "plain"})
    portal.state.accounts["demo-client"].secret_key = "another"

    with pytest.raises(IotPortalAuthenticationError):
        await client.login()


@pytest.mark.parametrize("error", [ValueError, TypeError, LookupError, RuntimeError, OverflowError])
async def test_unexpected_errors(
    client: IotPortalClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Whatever goes wrong inside aiohttp, only the client's own errors leave the client."""
    await client.login()
    monkeypatch.setattr("aiohttp.ClientResponse.start", Mock(side_effect=error))

    with pytest.raises(IotPortalConnectionError):
        await client.get_usage(ICCID)
    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.send_sms(ICCID, "Hello")


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ({"status": 404, "body": {"errorCode": "20000001"}}, Evidence.STRONG),
        ({"status": 200, "body": {"errorCode": "20000001"}}, Evidence.STRONG),
        ({"status": 404, "body": {"errorCode": "123456"}}, Evidence.WEAK),
        ({"status": 404, "body": {"errorMessage": "not found"}}, Evidence.WEAK),
        ({"status": 404, "body": "not found"}, Evidence.WEAK),
        ({"status": 404, "body": ""}, Evidence.WEAK),
        ({"status": 404, "body": "<html>"}, Evidence.PAGE),
        ({"status": 200, "body": "<html>"}, Evidence.PAGE),
        ({"status": 302, "body": "<html>"}, Evidence.PAGE),
        ({"status": 200, "body": {"success": False}}, Evidence.WEAK),
        ({"status": 200, "body": {"data": {"success": "false"}}}, Evidence.WEAK),
    ],
    ids=str,
)
async def test_evidence(
    client: IotPortalClient, portal: MockPortal, answer: dict[str, Any], evidence: Evidence
) -> None:
    """An error is as strong as what only the portal itself can have said."""
    portal.faults.add("status", route="ctdUsage", **answer)

    with pytest.raises(IotPortalResponseError) as raised:
        await client.get_usage(ICCID)

    assert raised.value.evidence is evidence


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "body": {"success": False, "message": "token expired"}},
        {"status": 400, "body": {"message": "invalid session"}},
        {"status": 200, "body": "<html>Please log in</html>"},
        {"status": 500, "body": {"message": "the session has expired"}},
    ],
    ids=str,
)
async def test_token_that_expires_in_other_words(
    client: IotPortalClient,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
) -> None:
    """A read that fails under an old token is made once more under a new one; a write is not."""
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    await client.login()
    monkeypatch.setattr("custom_components.iot_portal.api.client.READ_ATTEMPTS", 1)
    now += 1799
    portal.faults.add("status", route="ctdUsage", times=1, **answer)
    with pytest.raises(IotPortalResponseError):
        await client.get_usage(ICCID)
    assert portal.journal.logins == 1

    now += 1
    portal.faults.add("status", route="ctdUsage", times=1, **answer)
    assert await client.get_usage(ICCID)
    assert portal.journal.logins == 2

    now += 1800
    portal.faults.add("status", route="SendSMS", times=1, **answer)
    with pytest.raises(IotPortalError):
        await client.send_sms(ICCID, "Hello")
    portal.journal.assert_called_once("PUT", f"/SendSMS/{ICCID}/1")
    assert portal.journal.logins == 2


async def test_refused_log_in_is_tried_again(
    make_client: MakeClient, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that only an intermediary refused are sent again after a growing wait."""
    client = make_client()
    portal.faults.add("status", route="Login", status=401)
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    for seconds, logins in ((0, 1), (59, 1), (1, 2), (119, 2), (1, 3)):
        now += seconds
        with pytest.raises(IotPortalAuthenticationError):
            await client.get_usage(ICCID)
        assert portal.journal.logins == logins
    portal.faults.clear()
    now += 3600

    assert await client.get_usage(ICCID)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", "Back in 5 minutes", "[]"])
async def test_login_page(client: IotPortalClient, portal: MockPortal, body: str) -> None:
    """A page or a sentence instead of a log-in is not taken for wrong credentials."""
    portal.faults.add("status", route="Login", status=200, body=body)

    with pytest.raises(IotPortalResponseError) as raised:
        await client.login()
    assert not isinstance(raised.value, IotPortalAuthenticationError)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"deviceID": 89310823220893536321}', "89310823220893536321"),
        ('{"deviceID": "a\\ud800b"}', "a?b"),
        ('{"deviceID": NaN}', None),
        ('{"deviceID": 1e999}', None),
    ],
)
async def test_unserializable_json(
    client: IotPortalClient, portal: MockPortal, body: str, expected: str | None
) -> None:
    """Values that some JSON encoders reject are replaced: huge integers, surrogates, NaN."""
    portal.faults.add("status", route="GetDevice", status=200, body=body)

    assert (await client.get_device(ICCID)).raw == {"deviceID": expected}


async def test_login_after_a_correction_at_the_portal(
    make_client: MakeClient, portal: MockPortal
) -> None:
    """Logging in tries credentials again that the portal itself had refused, as a reload has to."""
    client = make_client()
    portal.state.accounts["demo-client"].secret_key = "another"
    for _ in range(2):
        with pytest.raises(IotPortalAuthenticationError):
            await client.get_usage(ICCID)
    assert portal.journal.logins == 1

    portal.state.accounts["demo-client"].secret_key = "demo-secret"
    await client.login()

    assert await client.get_usage(ICCID)
    assert portal.journal.logins == 2


@pytest.mark.parametrize("status", [400, 422])
async def test_login_refused_with_another_code(
    client: IotPortalClient, portal: MockPortal, status: int
) -> None:
    """A code that is not about the credentials does not make them wrong, and no person is asked for them."""
    body = {"errorMessage": "the body is not well-formed JSON", "errorCode": "10000023"}
    portal.faults.add("status", route="Login", status=status, body=body)

    with pytest.raises(IotPortalLoginError, match="not well-formed") as raised:
        await client.login()

    assert raised.value.code == "10000023"


async def test_login_that_is_not_refused(client: IotPortalClient, portal: MockPortal) -> None:
    """A log-in that fails under another status, or with a page, does not make the credentials wrong."""
    for status, body, evidence in (
        (404, "gone", Evidence.WEAK),
        (403, "<html>No</html>", Evidence.PAGE),
    ):
        portal.faults.clear()
        portal.faults.add("status", route="Login", status=status, body=body)

        with pytest.raises(IotPortalLoginError) as raised:
            await client.login()
        assert raised.value.evidence is evidence


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_login_refused_without_a_code(
    client: IotPortalClient, portal: MockPortal, status: int
) -> None:
    """A log-in that is refused without a code is taken for wrong credentials."""
    portal.faults.add("status", route="Login", status=status, body={"message": "no"})

    with pytest.raises(IotPortalAuthenticationError):
        await client.login()


async def test_failed_log_in_of_another_request(
    client: IotPortalClient, portal: MockPortal
) -> None:
    """Of two reads with an expired token one fails with its log-in; the other logs in by itself."""
    await client.login()
    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=404, body="gone", times=1)

    answers = await asyncio.gather(
        *(client.get_status(ICCID) for _ in range(2)), return_exceptions=True
    )

    assert "INVENTORY" in answers
    assert any(isinstance(answer, IotPortalLoginError) for answer in answers)


async def test_refusal_is_repeated(
    client: IotPortalClient, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that the portal refused are not sent again, days later either; the error says what it said."""
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    portal.state.accounts["demo-client"].secret_key = "another"
    refusals = []
    for _ in range(2):
        with pytest.raises(IotPortalAuthenticationError) as raised:
            await client.get_status(ICCID)
        refusals.append(raised.value)
        now += 2 * 86400
    assert portal.journal.logins == 1

    first, repeated = refusals
    assert first.code is not None
    assert (repeated.status, repeated.code, repeated.evidence) == (
        first.status,
        first.code,
        Evidence.STRONG,
    )


async def test_rejected_new_token_with_a_code(client: IotPortalClient, portal: MockPortal) -> None:
    """The error after a rejected new token says what the portal said."""
    body = {"errorMessage": "no", "errorCode": "10000001"}
    portal.faults.add("status", route="getStatus", status=401, body=body)

    with pytest.raises(IotPortalLoginError) as raised:
        await client.get_status(ICCID)

    assert (raised.value.code, raised.value.evidence) == ("10000001", Evidence.STRONG)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "body": {"errorCode": "20000001"}},
        {"status": 404, "body": "not found"},
        {"status": 403, "body": "forbidden"},
        {"status": 500, "body": {"message": "out of memory"}},
        {"status": 504, "body": ""},
    ],
    ids=str,
)
async def test_clear_error_under_an_old_token(
    client: IotPortalClient,
    portal: MockPortal,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
) -> None:
    """An error that cannot be about the token makes no new log-in, however old the token is."""
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    monkeypatch.setattr("custom_components.iot_portal.api.client.READ_ATTEMPTS", 1)
    await client.login()
    now += 1800
    portal.faults.add("status", route="ctdUsage", **answer)

    with pytest.raises(IotPortalResponseError):
        await client.get_usage(ICCID)

    assert portal.journal.logins == 1


async def test_sms_of_another_sim(client: IotPortalClient, portal: MockPortal) -> None:
    """An SMS that belongs to another SIM is not returned for this one."""
    identifier = await client.send_sms(ICCID, "Hello")
    assert identifier is not None

    assert (await client.get_sms(identifier, ICCID)).text == "Hello"
    with pytest.raises(IotPortalResponseError, match="another SIM"):
        await client.get_sms(identifier, UNKNOWN_ICCID)


async def test_sms_ids_that_cannot_be_asked_for(
    client: IotPortalClient, portal: MockPortal
) -> None:
    """An SMS id that is no identifier is not used, in a list or after sending."""
    portal.faults.add(
        "status", route="GetSMSIds", status=200, body={"smsMsgIds": ["../1", "2"], "lastPage": True}
    )
    portal.faults.add("status", route="SendSMS", status=200, body={"smsMsgId": "../1"})

    assert (await client.get_sms_list(ICCID)).ids == ["2"]
    assert await client.send_sms(ICCID, "Hello") is None


async def test_sentence_instead_of_status(client: IotPortalClient, portal: MockPortal) -> None:
    """A sentence is an error; an empty text, or an object without a status, is no status."""
    portal.faults.add("status", route="getStatus", status=200, body="Back in 5 minutes", times=1)
    portal.faults.add("status", route="getStatus", status=200, body='""', times=1)
    portal.faults.add("status", route="getStatus", status=200, body={"iccid": ICCID})

    with pytest.raises(IotPortalResponseError):
        await client.get_status(ICCID)
    for _ in range(2):
        assert await client.get_status(ICCID) is None


async def test_own_pacer(portal: MockPortal, session: ClientSession) -> None:
    """A client that shares no pacer paces its requests by itself."""
    client = IotPortalClient(session, portal.url, CREDENTIALS)

    assert await client.get_status(ICCID) == "INVENTORY"
    assert client.pacer.requests_in_last_hour == 2


async def test_log_in_after_a_failed_one(client: IotPortalClient, portal: MockPortal) -> None:
    """After a log-in that failed, the next read does not try the expired token again."""
    await client.login()
    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=404, body="gone", times=1)
    with pytest.raises(IotPortalLoginError):
        await client.get_status(ICCID)

    assert await client.get_status(ICCID) == "INVENTORY"
    portal.journal.assert_called("GET", f"/getStatus/{ICCID}", times=2)


async def test_log_in_with_a_passing_error(client: IotPortalClient, portal: MockPortal) -> None:
    """A read is repeated when its log-in failed by an error of the server, and not when it came too often."""
    portal.faults.add("status", route="Login", status=500, times=1)
    assert await client.get_status(ICCID) == "INVENTORY"
    assert portal.journal.logins == 2

    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=429, times=1)
    with pytest.raises(IotPortalRateLimitError):
        await client.get_status(ICCID)


async def test_waits_after_refused_log_ins(
    client: IotPortalClient, portal: MockPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait after refused log-ins grows to an hour, and a log-in that succeeds ends that."""
    now = 1000.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    portal.faults.add("status", route="Login", status=401)

    async def is_sent() -> bool:
        before = portal.journal.logins
        with pytest.raises(IotPortalAuthenticationError):
            await client.get_usage(ICCID)
        return portal.journal.logins > before

    for _ in range(12):
        assert await is_sent()
        now += 3600
    now -= 1
    assert await is_sent() is False
    portal.faults.clear()
    now += 1
    assert await client.get_usage(ICCID)

    portal.state.revoke_tokens()
    portal.faults.add("status", route="Login", status=401)
    assert await is_sent()
    now += 60
    assert await is_sent()


async def test_token_after_an_unknown_outcome(client: IotPortalClient, portal: MockPortal) -> None:
    """A write that failed by an error of the server does not cost a log-in."""
    portal.faults.add("status", route="SendSMS", status=500, times=1)
    with pytest.raises(IotPortalOutcomeUnknownError):
        await client.send_sms(ICCID, "Hello")

    assert await client.send_sms(ICCID, "Hello")
    assert portal.journal.logins == 1
