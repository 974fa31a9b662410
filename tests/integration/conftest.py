"""Fixtures: Home Assistant with the integration, and a mock portal on a real socket."""

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

ICCID = "8931082322089353632"
OTHER_ICCID = "8931080000000000011"
UNKNOWN_ICCID = "8931080000000000999"

type SetUp = Callable[..., Coroutine[Any, Any, MockConfigEntry]]


@pytest.fixture(autouse=True)
def integration(
    enable_custom_integrations: None,
    socket_enabled: None,
    no_waiting: None,
    hass_storage: dict[str, Any],
) -> None:
    """Enable the integration and its access to the portal, and keep Home Assistant's files in memory."""


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Return a snapshot that omits IDs and times that differ between runs, as Home Assistant's does."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture
async def portal() -> AsyncIterator[MockPortal]:
    """Return a running portal with the documented SIM and an active one."""
    async with MockPortal(
        {
            "extends": "documented",
            "sims": {OTHER_ICCID: {"status": "ACTIVATED", "data_usage": 1_500_000}},
        }
    ) as portal:
        yield portal


@pytest.fixture
def account(portal: MockPortal) -> dict[str, str]:
    """Return the entry data of the demo account."""
    return {"base_url": portal.url, "client_id": "demo-client", "secret_key": "demo-secret"}


@pytest.fixture
def set_up(hass: HomeAssistant, account: dict[str, str]) -> SetUp:
    """Return a function that sets up the demo account with SIMs."""

    async def set_up(
        *iccids: str,
        options: dict[str, Any] | None = None,
        title: str = "demo-client",
        **changes: str,
    ) -> MockConfigEntry:
        data = account | changes
        entry = MockConfigEntry(
            domain=DOMAIN,
            title=title,
            data=data,
            options=options,
            unique_id=f"demo-client@{data['base_url']}",
            subentries_data=[
                ConfigSubentryData(
                    data={"iccid": iccid},
                    subentry_type="sim",
                    title=f"SIM {iccid}",
                    unique_id=iccid,
                )
                for iccid in iccids
            ],
        )
        entry.add_to_hass(hass)
        await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        return entry

    return set_up


@pytest.fixture
async def reachable(hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator) -> Any:
    """Give Home Assistant a working external URL, and return a client without a log-in."""
    # Routes cannot be added once the client exists.
    for name in ("file_upload", "webhook", "websocket_api", "repairs"):
        assert await async_setup_component(hass, name, {})
    client = await hass_client_no_auth()
    hass.config.external_url = str(client.make_url("")).rstrip("/")
    return client


@pytest.fixture
def all_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enable the entities that are disabled by default."""
    monkeypatch.setattr(
        Entity, "entity_registry_enabled_default", property(lambda _: True), raising=True
    )


@pytest.fixture
def folder(hass_config_dir: str) -> Path:
    """Return the folder of Home Assistant's storage files."""
    folder = Path(hass_config_dir) / ".storage"
    folder.mkdir(exist_ok=True)
    return folder
