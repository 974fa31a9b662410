"""Clients of the portal: one for each entry, with one pacer for each of the portal's accounts."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from aiohttp.hdrs import USER_AGENT
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import (
    DATA_RESOLVER,
    SERVER_SOFTWARE,
    async_create_clientsession,
)
from homeassistant.helpers.json import json_dumps
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.ssl import SSL_ALPN_HTTP11, client_context

from .api import Credentials, IotPortalClient
from .api.pacing import DEFAULT_MAX_CONCURRENT, DEFAULT_RATE, Pacer
from .const import (
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_CLIENT_ID,
    CONF_MAX_CONCURRENT_REQUESTS,
    CONF_REQUEST_RATE,
    CONF_SECRET_KEY,
    DOMAIN,
)

type _Account = tuple[str, str]

# A pacer lives as long as a client that uses it.
_PACERS: HassKey[WeakValueDictionary[_Account, Pacer]] = HassKey(f"{DOMAIN}_pacers")
_SESSIONS: HassKey[tuple[ClientSession, ClientSession]] = HassKey(f"{DOMAIN}_sessions")


@callback
def async_create_client(hass: HomeAssistant, data: Mapping[str, Any]) -> IotPortalClient:
    """Return a client for the account in the data of an entry."""
    session, write_session = async_get_sessions(hass)
    return IotPortalClient(
        session,
        data[CONF_BASE_URL],
        Credentials(
            client_id=data.get(CONF_CLIENT_ID),
            secret_key=data.get(CONF_SECRET_KEY),
            api_token=data.get(CONF_API_TOKEN),
        ),
        write_session=write_session,
        pacer=_async_get_pacer(hass, _account(data)),
    )


@singleton(_SESSIONS)
@callback
def async_get_sessions(hass: HomeAssistant) -> tuple[ClientSession, ClientSession]:
    """Return the session for reads, and the one for writes, which keeps no connection; neither has cookies.

    Home Assistant's own session would share cookies between accounts, and with other integrations.
    """
    session = async_create_clientsession(hass, auto_cleanup=False, cookie_jar=DummyCookieJar())
    # As Home Assistant makes its own, except that no connection is kept.
    write_session = ClientSession(
        connector=TCPConnector(
            force_close=True,
            ssl=client_context(alpn_protocols=SSL_ALPN_HTTP11),
            resolver=hass.data[DATA_RESOLVER],
        ),
        cookie_jar=DummyCookieJar(),
        headers={USER_AGENT: SERVER_SOFTWARE},
        json_serialize=json_dumps,
    )

    async def close(_: Event) -> None:
        """Close both; the connections of the first belong to Home Assistant."""
        session.detach()
        await write_session.close()

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_CLOSE, close)
    return session, write_session


@callback
def async_apply_limits(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Apply changed limits to the account in the data of an entry, which has a client."""
    _async_get_pacer(hass, _account(data))


@callback
def async_end_pause(hass: HomeAssistant, data: Mapping[str, Any]) -> None:
    """Call off the pause of the account in the data of an entry, which a person has unloaded."""
    pacers = hass.data.get(_PACERS)
    if pacers is not None and (pacer := pacers.get(_account(data))) is not None:
        pacer.start_afresh()


def _account(data: Mapping[str, Any]) -> _Account:
    """Return what identifies an account, which the portal counts requests by."""
    return data[CONF_BASE_URL], data.get(CONF_CLIENT_ID) or data[CONF_API_TOKEN]


@callback
def _async_get_pacer(hass: HomeAssistant, account: _Account) -> Pacer:
    """Return the pacer of an account, limited by the slowest of its entries."""
    options = [
        entry.options
        for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        if _account(entry.data) == account
    ]
    rate = min(
        (each.get(CONF_REQUEST_RATE, DEFAULT_RATE) for each in options), default=DEFAULT_RATE
    )
    max_concurrent = min(
        (int(each.get(CONF_MAX_CONCURRENT_REQUESTS, DEFAULT_MAX_CONCURRENT)) for each in options),
        default=DEFAULT_MAX_CONCURRENT,
    )
    pacers = hass.data.setdefault(_PACERS, WeakValueDictionary())
    if (pacer := pacers.get(account)) is None:
        pacer = pacers[account] = Pacer(rate=rate, max_concurrent=max_concurrent)
    else:
        pacer.set_limits(rate=rate, max_concurrent=max_concurrent)
    return pacer
