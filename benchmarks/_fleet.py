"""A fleet of SIMs: its portal, and the configuration with which Home Assistant reads it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import batched
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import unused_port

from scripts.develop import PortalProcess

# Home Assistant allows 10,000 entities a config entry, so a larger fleet has several accounts.
ACCOUNT_SIMS = 1000
SECRET_KEY = "bench-secret"  # noqa: S105

type Options = dict[str, float]
"""The options of an account, as the integration stores them."""

MAX_CONCURRENT = 50
# Only the benchmarked program sends requests, and as fast as it can.
WIDE_OPEN: Options = {
    "poll_interval": 1440,
    "request_rate": 1_000_000,
    "max_concurrent_requests": MAX_CONCURRENT,
}
DEFAULT_PACE: Options = {"poll_interval": 1440}

# The suffixes of the names of the sensors that show whether a SIM has been read.
STATUS_ENDING, REST_ENDING = "_status", "_bench"
# The values of a SIM that `rest` reads, each with its own request.
REST_VALUES = {
    "ctdUsage": "{{ value_json[0].ctdDataUsage }}",
    "getStatus": "{{ value }}",
    "sessionInfo": "{{ value_json.ipAddress or 'none' }}",
}

_IDLE = {"session_count": 3, "session_started": "-3h", "session_ended": "-2h"}
_ACTIVE = {"session_count": 3, "session_started": "-3h", "bytes_per_second": 20000}
_MOMENT = "2026-11-01T00:00:00+00:00"


def iccids(count: int) -> list[str]:
    """Return the ICCIDs of a fleet."""
    return [str(8931080000000000000 + number) for number in range(count)]


@asynccontextmanager
async def running_portal(
    folder: Path,
    fleet: Sequence[str],
    *,
    seconds: float,
    is_active: bool = False,
    faults: Iterable[dict[str, Any]] = (),
) -> AsyncIterator[PortalProcess]:
    """Run a portal that answers with a delay in seconds; the SIMs of an active fleet use data."""
    scenario = folder / "fleet.json"
    content = {
        "extends": "documented",
        "accounts": {
            _client_id(number): {"secret_key": SECRET_KEY, "api_token": f"token-{number}"}
            for number, _ in enumerate(_shares(fleet))
        },
        "sims": dict.fromkeys(fleet, _ACTIVE if is_active else _IDLE),
        # Only the first matching fault is applied.
        "faults": [*faults, {"kind": "delay", "seconds": seconds}],
    }
    scenario.write_text(json.dumps(content), encoding="utf-8")
    portal = PortalProcess(unused_port(), scenario=str(scenario))
    async with portal.running():
        yield portal


async def requests_made(portal: PortalProcess) -> int:
    """Return the number of requests that the portal has counted; its journal keeps only the last 10,000."""
    total: int = (await portal.control("journal?route=Login"))["total"]
    return total


async def log_in(portal: PortalProcess) -> str:
    """Log in at the portal and return the token."""
    login = {"clientId": _client_id(0), "secretKey": SECRET_KEY}
    async with (
        ClientSession() as session,
        session.post(f"{portal.base_url}/Login", json=login) as answer,
    ):
        token: str = (await answer.json())["data"]["token"]
    return token


def entries(base_url: str, fleet: Sequence[str], options: Options) -> list[dict[str, Any]]:
    """Return the config entries of a fleet as Home Assistant stores them."""
    return [_entry(base_url, number, share, options) for number, share in enumerate(_shares(fleet))]


def _shares(fleet: Sequence[str]) -> list[tuple[str, ...]]:
    """Divide a fleet among accounts; without SIMs there is one account."""
    return list(batched(fleet, ACCOUNT_SIMS, strict=False)) or [()]


def _entry(base_url: str, number: int, fleet: Sequence[str], options: Options) -> dict[str, Any]:
    """Return the config entry of one account as Home Assistant stores it."""
    client_id = _client_id(number)
    return {
        "created_at": _MOMENT,
        "data": {
            "base_url": base_url,
            "client_id": client_id,
            "secret_key": SECRET_KEY,
        },
        "discovery_keys": {},
        "disabled_by": None,
        "domain": "iot_portal",
        "entry_id": f"01JD{number:0>22}",
        "minor_version": 1,
        "modified_at": _MOMENT,
        "options": options,
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
        "source": "user",
        "subentries": [
            {
                "data": {"iccid": iccid},
                "subentry_id": f"01JD{iccid:0>22}",
                "subentry_type": "sim",
                "title": f"SIM {iccid}",
                "unique_id": iccid,
            }
            for iccid in fleet
        ],
        "title": client_id,
        "unique_id": f"{client_id}@{base_url}",
        "version": 1,
    }


async def rest_configuration(portal: PortalProcess, fleet: Sequence[str]) -> str:
    """Return the `rest` sensors for status, data usage and address of each SIM, as a user would write them."""
    token = await log_in(portal)
    resources = [
        {
            "resource": f"{portal.base_url}/{route}/{iccid}",
            "headers": {"Authorization": token},
            "scan_interval": 86400,
            "sensor": [{"name": f"{iccid} {route} bench", "value_template": template}],
        }
        for iccid in fleet
        for route, template in REST_VALUES.items()
    ]
    return f"rest: {json.dumps(resources)}\n"


def _client_id(number: int) -> str:
    """Return the client ID of an account."""
    return f"bench-{number}"
