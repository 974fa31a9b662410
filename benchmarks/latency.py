"""Measure how soon an SMS is sent during a poll of the whole fleet.

The mock portal runs in a process of its own and answers after 200 ms; a real Home Assistant asks it at
the default pace. While it polls all SIMs, the action `iot_portal.send_sms` is called from time to time,
each time for another SIM. What counts is the time from the call until the portal has the request.
"""

from argparse import Namespace
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
import time

from custom_components.iot_portal.api.pacing import DEFAULT_RATE
from scripts.develop import PortalProcess

from . import _fleet
from ._home_assistant import PAUSE, VERSIONS, ProbedHomeAssistant
from ._machine import say
from ._report import BenchmarkError, as_json, footer, parser, run, table

ANSWER_SECONDS = 0.2
# Far enough apart that no SMS waits for the last, and never in step with the pacer.
GAPS = (1.5, 2.1)
BOUND = 2 * ANSWER_SECONDS + 1 / DEFAULT_RATE
# How far the portal's clock may be off, in seconds.
TOLERANCE = 0.001


def main() -> None:
    """Run the benchmark and print the results."""
    arguments = parser("latency", __doc__)
    arguments.add_argument("--sims", type=int, default=100)
    arguments.add_argument("--actions", type=int, default=10)
    options = arguments.parse_args()
    results = run(_measure(options))
    print(as_json(results, options, VERSIONS) if options.json else _as_table(results))


async def _measure(options: Namespace) -> list[float]:
    """Return the seconds until the portal received each SMS."""
    fleet = _fleet.iccids(options.sims)
    if options.actions > options.sims:
        msg = "each SMS needs a SIM of its own; give more --sims, or fewer --actions"
        raise BenchmarkError(msg)
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with _fleet.running_portal(folder, fleet, seconds=ANSWER_SECONDS) as portal:
            await _check_clock(portal)
            hass = ProbedHomeAssistant(folder / "config")
            hass.prepare_probed(
                accounts=_fleet.entries(portal.base_url, fleet, _fleet.DEFAULT_PACE)
            )
            async with hass.started():
                say(
                    f"Reading {options.sims} SIMs at the default pace, some {_first_read(fleet):.0f} s"
                )
                sensors = await hass.until_read(
                    _fleet.STATUS_ENDING, len(fleet), seconds=2 * _first_read(fleet) + 60
                )
                await asyncio.sleep(PAUSE)
                say(f"Polling them, and sending {options.actions} SMS meanwhile")
                return await _send_all(hass, portal, sensors, fleet[-options.actions :])


def _first_read(fleet: Sequence[str]) -> float:
    """Return roughly how many seconds the first read of a fleet takes."""
    requests_a_sim = 3
    return len(fleet) * requests_a_sim / DEFAULT_RATE


async def _check_clock(portal: PortalProcess) -> None:
    """Raise an error if the portal's clock differs from that of the benchmark."""
    before = time.time()
    shown = datetime.fromisoformat((await portal.control("health"))["now"]).timestamp()
    if not before - TOLERANCE <= shown <= time.time() + TOLERANCE:
        msg = f"the portal's clock is {shown - before:.3f} s off"
        raise BenchmarkError(msg)


async def _send_all(
    hass: ProbedHomeAssistant, portal: PortalProcess, sensors: list[str], fleet: Sequence[str]
) -> list[float]:
    """Send an SMS to each SIM while sensors are updated; return the seconds until the portal received each."""
    devices = await hass.device_ids()
    pause = Random(0)  # noqa: S311
    called = {}
    async with _polling(hass, sensors) as poll:
        for iccid in fleet:
            await asyncio.sleep(pause.uniform(*GAPS))
            called[iccid] = time.time()
            await hass.call_action(
                "iot_portal", "send_sms", {"device_id": devices[iccid], "message": "Hello"}
            )
            if poll.done():
                msg = (
                    f"the poll ended after {len(called)} SMS; give more --sims, or fewer --actions"
                )
                raise BenchmarkError(msg)
    arrived = {
        exchange["iccid"]: datetime.fromisoformat(exchange["time"]).timestamp()
        for exchange in (await portal.control("journal?route=SendSMS"))["exchanges"]
    }
    return [arrived[iccid] - moment for iccid, moment in called.items()]


@asynccontextmanager
async def _polling(
    hass: ProbedHomeAssistant, sensors: list[str]
) -> AsyncIterator[asyncio.Task[object]]:
    """Poll while the context lasts, or until the poll has ended."""
    poll: asyncio.Task[object] = asyncio.create_task(hass.poll(sensors))
    try:
        yield poll
    finally:
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)


def _as_table(seconds: Sequence[float]) -> str:
    """Return the median and the worst as a Markdown table."""
    columns = ["an SMS during a poll", "median", "worst", "goal"]
    row = [
        f"{len(seconds)} times",
        *(f"{value * 1000:.0f} ms" for value in (median(seconds), max(seconds), BOUND)),
    ]
    return f"{table(columns, [row])}\n\n{footer(VERSIONS)}"


if __name__ == "__main__":
    main()
