"""What is on the disk: from the first release on it is read, and what cannot be read is not lost."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
import json
from pathlib import Path
import stat
from typing import Any
from unittest.mock import Mock

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.repairs import DOMAIN as REPAIRS_DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.iot_portal import async_migrate_entry, storage
from custom_components.iot_portal.config_flow import IotPortalConfigFlow
from custom_components.iot_portal.const import DOMAIN
from custom_components.iot_portal.storage import MAX_CORRUPT_FILES
from mock_portal import MockPortal

from .conftest import ICCID, OTHER_ICCID, SetUp
from .helpers import bulk_edit_event, log_messages, poll, record_events, send_sms, state_of

STORED_FILES = Path(__file__).parent.parent / "fixtures" / "storage"
PENDING_WRITES: dict[str, Any] = json.loads((STORED_FILES / "pending_writes.json").read_text())


@pytest.fixture
def hass_storage() -> None:
    """Do not replace the disk, which is tested here."""


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Return a temporary configuration folder."""
    return hass_tmp_config_dir


async def restart(
    hass: HomeAssistant, entry: MockConfigEntry, change: Callable[[], object]
) -> None:
    """Unload an account, change a file, and set the account up again."""
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(change)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def aside_of(file: Path) -> list[Path]:
    """Return the files that were set aside for a file."""
    return sorted(file.parent.glob(f"{file.name}.corrupt.*"))


def ours(folder: Path) -> set[str]:
    """Return the names of the integration's files."""
    return {path.name for path in folder.glob("iot_portal*")}


def lost(hass: HomeAssistant, entry: MockConfigEntry) -> ir.IssueEntry | None:
    """Return the repair issue for lost data."""
    return ir.async_get(hass).async_get_issue(
        DOMAIN, f"pending_writes_lost.{entry.entry_id}.pending_writes"
    )


async def test_stored_files(
    hass: HomeAssistant,
    portal: MockPortal,
    folder: Path,
    hass_client_no_auth: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    """The stored files of an account are used: its settings, its snapshots and its pending writes."""
    freezer.move_to("2026-11-24T20:25:00+00:00")
    (stored,) = json.loads((STORED_FILES / "config_entries.json").read_text())["data"]["entries"]
    (edit,) = PENDING_WRITES["data"]["bulk_edits"]
    for name, file in (
        ("", "pending_writes"),
        (".snapshots", "snapshots"),
        (".history", "history"),
    ):
        text = (STORED_FILES / f"{file}.json").read_text()
        (folder / f"{DOMAIN}.{stored['entry_id']}{name}").write_text(text)
    outages = folder / f"{DOMAIN}.outages"
    outages.write_text((STORED_FILES / "outages.json").read_text())
    text = (STORED_FILES / "config_entries.json").read_text()
    (folder / "core.config_entries").write_text(
        text.replace("http://127.0.0.1:8089/api", portal.url)
    )
    portal.dialects["status_change"] = "never"
    await async_setup_component(hass, "webhook", {})

    await hass.config_entries.async_initialize()
    await hass.config_entries.async_setup(stored["entry_id"])
    await hass.async_block_till_done(wait_background_tasks=True)

    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED
    assert (entry.version, entry.minor_version) == (1, 1)
    # The portal is back.
    assert json.loads(outages.read_text())["data"]["accounts"] == []
    assert entry.options == stored["options"]
    assert state_of(hass, ICCID, "status") == "inventory"
    assert state_of(hass, OTHER_ICCID, "allowance_used") == "0.3"
    lifecycle = hass.states.get("event.sim_8931080000000000011_sim_event")
    assert lifecycle is not None
    # As the file of what was told says; the snapshots are older.
    assert lifecycle.attributes["event_type"] == "status_changed"
    assert lifecycle.attributes["from"] == "test_ready"
    # Stored reads are not requested again; new SMS are looked for.
    routes = [call.route for call in portal.journal if call.iccid == OTHER_ICCID]
    assert routes == ["ctdUsage", "GetSMSIds"]
    # Pending writes are followed to their end: the status, the SMS and the bulk edit.
    assert hass.states.is_state("binary_sensor.pangea_test_sim_change_pending", STATE_ON)
    assert entry.runtime_data.account.pending_writes.of(OTHER_ICCID).sent_sms[0].sms_id == "4711"
    client = await hass_client_no_auth()
    await client.post(f"/api/webhook/{edit['webhook_id']}", json={"queueId": edit["queue_id"]})
    assert bulk_edit_event(hass)["event_type"] == "finished"
    portal.sims[ICCID].set_status("ACTIVATED")
    await poll(hass, freezer)
    assert state_of(hass, ICCID, "status") == "activated"
    assert not ir.async_get(hass).issues


async def test_minor_version(hass: HomeAssistant, set_up: SetUp) -> None:
    """An entry of a newer minor version is set up, as minor versions are compatible."""
    entry = await set_up(ICCID)
    await hass.config_entries.async_unload(entry.entry_id)
    hass.config_entries.async_update_entry(entry, minor_version=2)

    await hass.config_entries.async_setup(entry.entry_id)

    assert entry.state is ConfigEntryState.LOADED


async def test_downgrade(hass: HomeAssistant, account: dict[str, str], portal: MockPortal) -> None:
    """An account of a newer version is left unchanged, and a user reads why."""
    entry = MockConfigEntry(domain=DOMAIN, title="demo-client", data=account, version=2)
    entry.add_to_hass(hass)

    assert not await hass.config_entries.async_setup(entry.entry_id)

    assert entry.state is ConfigEntryState.MIGRATION_ERROR
    assert len(portal.journal) == 0
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"entry_too_new.{entry.entry_id}.version")
    assert issue is not None
    texts = await async_get_translations(hass, "en", "issues", [DOMAIN])
    text = texts[f"component.{DOMAIN}.issues.entry_too_new.description"]
    says = text.format(**issue.translation_placeholders or {})
    assert "demo-client was last used with a newer version" in says
    assert "its data has version 2, but the installed version only reads up to 1" in says
    await hass.config_entries.async_remove(entry.entry_id)
    assert not ir.async_get(hass).issues


async def test_version_of_nobody(hass: HomeAssistant) -> None:
    """An entry of a version that never existed is not set up."""
    entry = MockConfigEntry(domain=DOMAIN, data={}, version=0)

    assert IotPortalConfigFlow.VERSION == 1
    assert not await async_migrate_entry(hass, entry)


def envelope(data: object, **changes: object) -> bytes:
    """Return the content of a file of Home Assistant's store."""
    return json.dumps(PENDING_WRITES | {"data": data} | changes).encode()


DAMAGED = {
    "empty object": envelope({}),
    "other shape": envelope({"sims": [], "bulk_edits": 5}),
    "no data": b'{"version": 1, "minor_version": 1, "key": "x"}',
    "no version": b'{"data": {}}',
    "no object": b"[]",
    "a word": b'"iot"',
    "version 0": envelope(PENDING_WRITES["data"], version=0),
    "newer version": envelope({"new": True}, version=2),
    "version that is none": envelope(PENDING_WRITES["data"], version="1"),
    "wrong field": envelope(
        {"sims": {ICCID: {"sent_sms": [5], "seen_sms_ids": [1]}}, "bulk_edits": []}
    ),
    "impossible instant": json.dumps(PENDING_WRITES)
    .replace("2026-11-24T20:23:33.228248+00:00", "0001-01-01T00:00:00+12:00")
    .encode(),
}


@pytest.mark.parametrize("damage", DAMAGED)
async def test_damaged_memory(
    hass: HomeAssistant,
    set_up: SetUp,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    """A damaged file is set aside unchanged, and a repair issue says what that means."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"

    await restart(hass, entry, lambda: file.write_bytes(DAMAGED[damage]))

    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, ICCID, "status") == "inventory"
    (aside,) = aside_of(file)
    assert aside.read_bytes() == DAMAGED[damage]
    (logged,) = (text for text in log_messages(caplog) if "cannot be read, see" in text)
    assert ICCID not in logged
    issue = lost(hass, entry)
    assert issue is not None
    assert issue.is_persistent
    assert issue.translation_placeholders == {"account": "demo-client", "file": str(aside)}

    await send_sms(hass, entry, ICCID)
    assert "sent_at" in file.read_text()

    flows = hass.data[REPAIRS_DOMAIN]["flow_manager"]
    result = await flows.async_init(DOMAIN, data={"issue_id": issue.issue_id})
    texts = await async_get_translations(hass, "en", "issues", [DOMAIN])
    text = texts[f"component.{DOMAIN}.issues.pending_writes_lost.fix_flow.step.confirm.description"]
    assert f"renamed to `{aside}`" in text.format(**result["description_placeholders"])
    result = await flows.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert lost(hass, entry) is None
    await restart(hass, entry, lambda: None)
    assert lost(hass, entry) is None


async def test_memory_that_is_no_json(hass: HomeAssistant, set_up: SetUp, folder: Path) -> None:
    """A file that is not JSON is set aside by Home Assistant, with its own repair issue only."""
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"

    await restart(hass, entry, lambda: file.write_bytes(b"\xff{"))

    assert entry.state is ConfigEntryState.LOADED
    assert len(aside_of(file)) == 1
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_key == "storage_corruption"


async def test_newer_minor_version_of_the_memory(
    hass: HomeAssistant, set_up: SetUp, folder: Path
) -> None:
    """Additions of a newer minor version are ignored; the rest is read."""
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"
    data = json.loads(json.dumps(PENDING_WRITES["data"] | {"new": 1}))
    data["sims"][ICCID]["new"] = data["sims"][ICCID]["status_request"]["new"] = {"a": "b"}

    await restart(hass, entry, lambda: file.write_bytes(envelope(data, minor_version=2)))

    assert lost(hass, entry) is None
    change = entry.runtime_data.account.pending_writes.of(ICCID).status_request
    assert change is not None
    assert change.previous == "INVENTORY"


@pytest.mark.parametrize("damage", [*DAMAGED, "no JSON", "other parts"])
async def test_damaged_reads(hass: HomeAssistant, set_up: SetUp, folder: Path, damage: str) -> None:
    """A damaged file of reads causes no repair issue, as the data can be read again."""
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}.snapshots"
    more = {"no JSON": b"\xff", "other parts": envelope({ICCID: {"usage": 5}})}

    await restart(hass, entry, lambda: file.write_bytes((DAMAGED | more)[damage]))

    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, ICCID, "status") == "inventory"
    assert lost(hass, entry) is None
    await hass.config_entries.async_unload(entry.entry_id)
    assert json.loads(file.read_text())["data"][ICCID]["status"] == "INVENTORY"


@pytest.mark.parametrize("damage", [*DAMAGED, "no JSON", "other parts"])
async def test_damaged_history(
    hass: HomeAssistant, set_up: SetUp, folder: Path, portal: MockPortal, damage: str
) -> None:
    """Instead of a damaged file of what was told, the snapshots say it; nothing is told again."""
    entry = await set_up(ICCID)
    happened = record_events(hass, "sim_event")
    portal.sims[ICCID].set_status("TEST_READY")
    await next(iter(entry.runtime_data.sims.values())).async_refresh()
    await hass.async_block_till_done()
    assert [event for event, _ in happened] == ["status_changed"]
    file = folder / f"{DOMAIN}.{entry.entry_id}.history"
    assert file.is_file()
    more = {"no JSON": b"\xff", "other parts": envelope({ICCID: {"status": 5, "told": "x"}})}

    await restart(hass, entry, lambda: file.write_bytes((DAMAGED | more)[damage]))

    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, ICCID, "status") == "test_ready"
    assert lost(hass, entry) is None
    assert len(happened) == 1


async def test_memory_that_cannot_be_renamed(
    hass: HomeAssistant, set_up: SetUp, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file that cannot be set aside is not overwritten, so nothing is sent that could be lost."""
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"
    await restart(hass, entry, lambda: file.write_bytes(b"[]"))
    monkeypatch.setattr(storage, "_set_aside", Mock(side_effect=PermissionError))

    await restart(hass, entry, lambda: file.write_bytes(b"[1]"))
    with pytest.raises(HomeAssistantError, match="Nothing was sent for demo-client"):
        await send_sms(hass, entry, ICCID)
    await hass.config_entries.async_unload(entry.entry_id)

    assert file.read_bytes() == b"[1]"
    issue = lost(hass, entry)
    assert issue is not None
    assert issue.translation_placeholders == {"account": "demo-client", "file": str(file)}


async def test_files_do_not_pile_up(
    hass: HomeAssistant, set_up: SetUp, folder: Path, freezer: FrozenDateTimeFactory
) -> None:
    """Only the last damaged files are kept, and none when the account is removed."""
    others = {"iot_portal.somebody.corrupt.1", "iot_portal.somebody"}
    for other in others:
        (folder / other).write_text("{}")
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"
    for number in range(MAX_CORRUPT_FILES + 2):
        await restart(hass, entry, partial(file.write_bytes, b"[%d]" % number))
        freezer.tick(timedelta(seconds=1))
    reads = folder / f"{file.name}.snapshots"
    await restart(hass, entry, lambda: reads.write_bytes(b"no JSON"))

    assert [path.read_bytes() for path in aside_of(file)] == [b"[2]", b"[3]", b"[4]"]
    await hass.config_entries.async_remove(entry.entry_id)

    assert ours(folder) == others


async def test_only_the_owner_reads_the_files(
    hass: HomeAssistant, set_up: SetUp, folder: Path
) -> None:
    """Files with data of SIMs, also damaged ones, are readable by Home Assistant's user only."""
    entry = await set_up(ICCID)
    file = folder / f"{DOMAIN}.{entry.entry_id}"
    await hass.config_entries.async_unload(entry.entry_id)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / f"{file.name}.snapshots").stat().st_mode) == 0o600

    await restart(hass, entry, lambda: file.write_bytes(b"[]"))

    (aside,) = aside_of(file)
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
