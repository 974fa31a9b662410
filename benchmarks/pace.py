"""Measure over some minutes whether the portal is ever requested faster than the setting allows.

A real Home Assistant reads and polls a fleet at the default pace, without a pause, so that requests
always wait. The portal answers after 400 ms, now and then refuses a request because it is asked too
often, in three ways, and counts how many requests come in any one second and how many are under way
at once. From time to time an SMS is sent. Exits with 1 when the portal was asked too fast.
"""

from argparse import Namespace
import asyncio
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
import sys
from tempfile import TemporaryDirectory

from custom_components.iot_portal.api.pacing import DEFAULT_MAX_CONCURRENT, DEFAULT_RATE
from scripts.develop import PortalProcess
from scripts.hass_process import HomeAssistantError

from . import _fleet
from ._home_assistant import VERSIONS, ProbedHomeAssistant
from ._machine import say
from ._report import as_json, footer, parser, run, table

# So slow that two requests must be in flight to reach the rate.
ANSWER_SECONDS = 0.4
REFUSALS: dict[str, dict[str, object]] = {
    "429 with Retry-After": {"kind": "rate_limited", "retry_after": "3"},
    "429": {"kind": "rate_limited"},
    "503": {"kind": "status", "status": 503},
}
# One half of the fleet waits while the other is being updated.
HALVES = 2
SMS_GAPS = (10.0, 30.0)


@dataclass(kw_only=True)
class Sms:
    """The numbers of SMS that were sent and that the portal refused."""

    sent: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the portal saw: requests, the most in a second and at once, refusals by kind, and SMS."""

    requests: int
    peak_rate: int
    peak_width: int
    refusals: dict[str, int]
    sms: Sms

    @property
    def is_within_setting(self) -> bool:
        """Return whether the portal was never asked too fast."""
        return self.peak_rate <= DEFAULT_RATE and self.peak_width <= DEFAULT_MAX_CONCURRENT


def main() -> None:
    """Run the benchmark, print the results, and fail if the portal was requested too fast."""
    arguments = parser("pace", __doc__)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--sims", type=int, default=300)
    arguments.add_argument(
        "--refused",
        type=float,
        default=0.002,
        help="share of requests refused, for each kind of refusal",
    )
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    result = run(_measure(options))
    print(
        as_json(result, options, VERSIONS) if options.json else _as_table(result, options.minutes)
    )
    sys.exit(not result.is_within_setting)


async def _measure(options: Namespace) -> Result:
    """Keep Home Assistant busy for some minutes, and return what the portal saw."""
    fleet = _fleet.iccids(options.sims)
    faults = [
        {"id": name, "probability": options.refused, "seed": options.seed * 10 + number, **fault}
        for number, (name, fault) in enumerate(REFUSALS.items())
    ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(
            folder, fleet, seconds=ANSWER_SECONDS, faults=faults
        ) as portal:
            hass = ProbedHomeAssistant(folder / "config")
            hass.prepare_probed(
                accounts=_fleet.entries(portal.base_url, fleet, _fleet.DEFAULT_PACE)
            )
            async with hass.started():
                sms = await _keep_asking(hass, options.minutes, Random(options.seed))  # noqa: S311
                return await _seen(portal, sms)


async def _keep_asking(hass: ProbedHomeAssistant, minutes: float, random: Random) -> Sms:
    """Request updates and send SMS for some minutes."""
    sms = Sms()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_update(hass, half)) for half in range(HALVES)]
        tasks.append(group.create_task(_send_sms(hass, sms, random)))
        tasks.append(group.create_task(_say_progress(minutes)))
        await asyncio.sleep(minutes * 60)
        for task in tasks:
            task.cancel()
    return sms


async def _update(hass: ProbedHomeAssistant, half: int) -> None:
    """Update one half of the SIMs that have been read, repeatedly."""
    while True:
        sensors = await hass.read_sensors(_fleet.STATUS_ENDING)
        # Over a WebSocket, as a slow portal takes longer than a REST call may last.
        await hass.command(
            "call_service",
            domain="homeassistant",
            service="update_entity",
            service_data={"entity_id": sensors[half::HALVES]},
        )
        await asyncio.sleep(1)


async def _send_sms(hass: ProbedHomeAssistant, sms: Sms, random: Random) -> None:
    """Send an SMS to a random SIM at random intervals."""
    while True:
        await asyncio.sleep(random.uniform(*SMS_GAPS))
        devices = list((await hass.device_ids()).values())
        if not devices:
            continue
        try:
            await hass.call_action(
                "iot_portal",
                "send_sms",
                {"device_id": random.choice(devices), "message": "Hello"},
            )
        except HomeAssistantError:
            sms.refused += 1
        else:
            sms.sent += 1


async def _say_progress(minutes: float) -> None:
    """Print the elapsed minutes once a minute."""
    for passed in count():
        say(f"{passed} of {minutes:g} min")
        await asyncio.sleep(60)


async def _seen(portal: PortalProcess, sms: Sms) -> Result:
    """Return what the portal saw, including requests beyond the 10,000 that its journal keeps."""
    journal = await portal.control("journal?route=Login")
    faults = {fault["id"]: fault for fault in await portal.control("faults") if "id" in fault}
    return Result(
        requests=journal["total"],
        peak_rate=journal["peak_rate"],
        peak_width=journal["peak_width"],
        refusals={name: faults[name].get("fired", 0) for name in REFUSALS},
        sms=sms,
    )


def _as_table(result: Result, minutes: float) -> str:
    """Return what the portal saw as a Markdown table."""
    columns = [f"over {minutes:g} min", "seen by the portal", "setting"]
    rows = [
        ["most requests in any one second", str(result.peak_rate), f"{DEFAULT_RATE:g}"],
        ["most requests at once", str(result.peak_width), f"{DEFAULT_MAX_CONCURRENT}"],
        ["requests", f"{result.requests:,}", ""],
        ["requests a second", f"{result.requests / minutes / 60:.2f}", ""],
        *([f"refused with {name}", str(times), ""] for name, times in result.refusals.items()),
        ["SMS sent", str(result.sms.sent), ""],
        ["SMS refused", str(result.sms.refused), ""],
    ]
    verdict = "Within the setting" if result.is_within_setting else "Asked too fast"
    return f"{table(columns, rows)}\n\n{verdict}. {footer(VERSIONS)}"


if __name__ == "__main__":
    main()
