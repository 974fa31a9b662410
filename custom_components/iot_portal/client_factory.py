"""Clients of the portal: one for each entry, with one pacer for each of the portal's accounts."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util.hass_dict import HassKey

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


@callback
def async_create_client(hass: HomeAssistant, data: Mapping[str, Any]) -> IotPortalClient:
    """Return a client for the account in the data of an entry."""
    return IotPortalClient(
        async_get_clientsession(hass),
        data[CONF_BASE_URL],
        Credentials(
            client_id=data.get(CONF_CLIENT_ID),
            secret_key=data.get(CONF_SECRET_KEY),
            api_token=data.get(CONF_API_TOKEN),
        ),
        pacer=_async_get_pacer(hass, _account(data)),
    )


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
