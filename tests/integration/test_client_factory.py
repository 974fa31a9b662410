"""Entries of one account of the portal share a pacer."""

import gc
from weakref import ref

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_portal.client_factory import async_create_client
from custom_components.iot_portal.const import DOMAIN

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
    assert (stranger.pacer.rate, stranger.pacer.max_concurrent) == (4, 2)

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
