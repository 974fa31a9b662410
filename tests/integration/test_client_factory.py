"""Entries of one account of the portal share a pacer; accounts share no cookies."""

from collections.abc import AsyncIterator
import gc
from weakref import ref

from aiohttp import ThreadedResolver, web
from aiohttp.hdrs import USER_AGENT
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import aiohttp_client
from homeassistant.helpers.aiohttp_client import SERVER_SOFTWARE, async_get_clientsession
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from yarl import URL

from custom_components.iot_portal.client_factory import async_create_client, async_get_sessions
from custom_components.iot_portal.const import DOMAIN
from tests.common import serving

DATA = {"base_url": "https://portal.test/api", "client_id": "client", "secret_key": "secret"}


def entry_of(
    hass: HomeAssistant, *, rate: float, max_concurrent: int, **changes: str
) -> MockConfigEntry:
    """Return the entry of an account."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        data=DATA | changes,
        options={"request_rate": rate, "max_concurrent_requests": max_concurrent},
    )
    entry.add_to_hass(hass)
    return entry


async def test_one_pacer(hass: HomeAssistant) -> None:
    """Two entries of one account share a pacer with the slower rate of both."""
    first = async_create_client(hass, entry_of(hass, rate=3, max_concurrent=1).data)
    second = async_create_client(hass, entry_of(hass, rate=2, max_concurrent=4).data)

    assert first.pacer is second.pacer
    assert (first.pacer.rate, first.pacer.max_concurrent) == (2, 1)


@pytest.mark.parametrize(
    "other", [{"client_id": "another"}, {"base_url": "https://uat.portal.test/apiv2"}]
)
async def test_two_pacers(hass: HomeAssistant, other: dict[str, str]) -> None:
    """Other accounts and other portals have pacers of their own."""
    first = async_create_client(hass, entry_of(hass, rate=3, max_concurrent=1).data)
    second = async_create_client(hass, entry_of(hass, rate=2, max_concurrent=4, **other).data)

    assert first.pacer is not second.pacer
    assert (first.pacer.rate, second.pacer.rate) == (3, 2)


async def test_dialogs_go_by_it_too(hass: HomeAssistant) -> None:
    """Log-ins of dialogs use the account's pacer, or one with the default rate."""
    stranger = async_create_client(hass, DATA)
    assert (stranger.pacer.rate, stranger.pacer.max_concurrent) == (4, 3)

    entry_of(hass, rate=1, max_concurrent=1)
    dialog = async_create_client(hass, DATA)

    assert dialog.pacer is stranger.pacer
    assert (dialog.pacer.rate, dialog.pacer.max_concurrent) == (1, 1)


async def test_pacer_goes_with_its_last_client(hass: HomeAssistant) -> None:
    """A pacer without clients is not kept."""
    client = async_create_client(hass, DATA)
    pacer = ref(client.pacer)

    del client
    gc.collect()

    assert pacer() is None


class LocalResolver(ThreadedResolver):
    """A resolver that Home Assistant can close."""

    async def real_close(self) -> None:
        """Do nothing."""


@pytest.fixture
def cookies() -> list[str]:
    """Return the cookies that the portal received."""
    return []


@pytest.fixture
async def portal_with_cookies(
    socket_enabled: None, cookies: list[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Yield the address of a portal that sets a cookie with each answer, a different one for each account."""
    # The testing plug-in's resolver ends with the first test, and cookies need a name.
    monkeypatch.setattr(aiohttp_client, "_async_make_resolver", lambda _: LocalResolver())

    async def answer(request: web.Request) -> web.Response:
        cookies.extend(request.headers.getall("Cookie", []))
        account = request.headers.get("Authorization")
        if request.path.endswith("/Login"):
            account = (await request.json())["clientId"]
        return web.json_response(
            {"data": {"token": account}},
            headers={"Set-Cookie": f"JSESSIONID={account}; Path=/; Domain=localhost"},
        )

    async with serving(answer) as url:
        yield url.replace("127.0.0.1", "localhost")


async def test_no_cookies(
    hass: HomeAssistant, portal_with_cookies: str, cookies: list[str]
) -> None:
    """No request carries a cookie: not of its account, of another one, or of another integration."""
    shared = async_get_clientsession(hass)
    async with shared.post(f"{portal_with_cookies}/Login", json={"clientId": "other"}) as answer:
        await answer.read()
    assert shared.cookie_jar.filter_cookies(URL(portal_with_cookies))

    for name in ("one", "two", "one"):
        data = DATA | {"base_url": portal_with_cookies, "client_id": name}
        client = async_create_client(hass, data)
        await client.login()
        await client.get_usage("8931082322089353632")
        await client.update_rule({})

    assert cookies == []


async def test_sessions_of_home_assistant(hass: HomeAssistant) -> None:
    """Both sessions name Home Assistant and use its resolver; one keeps no connection."""
    session, write_session = async_get_sessions(hass)
    shared = async_get_clientsession(hass)

    assert session.connector is shared.connector
    assert session.headers[USER_AGENT] == write_session.headers[USER_AGENT] == SERVER_SOFTWARE
    assert write_session.connector is not None
    assert write_session.connector.force_close
    assert async_get_sessions(hass) == (session, write_session)


async def test_sessions_are_closed(hass: HomeAssistant) -> None:
    """Both sessions are closed when Home Assistant stops; Home Assistant's own connector is left to it."""
    session, write_session = async_get_sessions(hass)
    connector = write_session.connector

    hass.bus.async_fire(EVENT_HOMEASSISTANT_CLOSE)
    await hass.async_block_till_done()

    assert session.closed
    assert write_session.closed
    assert connector is not None
    assert connector.closed
