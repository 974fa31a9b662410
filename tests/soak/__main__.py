"""Run an account of the mock portal in a real Home Assistant through virtual days.

Ten per cent of all requests fail, Home Assistant is restarted, a key is revoked, SIMs are added and
removed, and a simulated user sends SMS and requests statuses all the time. Every promise of the
integration is checked against the portal's journal, the event entities and the log. The exit status is
1 if a promise was broken.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
import gc
import logging
from pathlib import Path
import random as global_random
from random import Random
import sys
from tempfile import TemporaryDirectory
import time
from traceback import format_exception
from typing import Any, Final
import warnings

from homeassistant import block_async_io
from homeassistant.const import STATE_UNKNOWN
from homeassistant.helpers import device_registry as dr, issue_registry as ir

from custom_components.iot_portal.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from mock_portal import MockPortal, sending

from . import portal_setup, virtual
from .home_assistant import SoakHomeAssistant, clear_caches, full_disk, prepare
from .ledger import Ledger
from .promises import Promise, Promises
from .report import Report, Sizes
from .user import SimulatedUser
from .watch import LOGGERS, PERSONAL, Watch

START: Final = datetime(2026, 1, 20, tzinfo=UTC)
DAY: Final = 24 * 3600
ACTIONS_A_SIM_A_DAY: Final = 3
DAYS_BETWEEN_RESTARTS: Final = 3
DAYS_BETWEEN_FULL_DISKS: Final = 2
CALM_HOURS: Final = 27
# How much more there may be at the end than after the first day: each stopped Home Assistant leaves
# a few fragments. One object leaked in every poll would be several times as much in a month.
GROWTH_OF_BLOCKS: Final = 0.02
GROWTH_OF_MEGABYTES: Final = 0.2
real_seconds = time.perf_counter


class Soak:
    """One run of the soak test."""

    def __init__(
        self,
        options: Namespace,
        portal: MockPortal,
        home: SoakHomeAssistant,
        ledger: Ledger,
        promises: Promises,
    ) -> None:
        """Store the participants, and create the simulated user."""
        self._options = options
        self._portal = portal
        self.home = home
        self._promises = promises
        self._random = Random(options.seed)  # noqa: S311
        self._ledger = ledger
        self._user = SimulatedUser(home, portal, ledger, promises, Random(options.seed + 1))  # noqa: S311
        self.sizes: list[Sizes] = []

    async def run(self) -> None:
        """Run through the days, and a calm day after them."""
        await self.home.start()
        await self._user.add_account(_account(self._portal.url), _polling(self._options.interval))
        await self._user.add_sims(list(self._portal.sims)[_spare(self._options.sims) :])
        portal_setup.add_faults(self._portal, self._random)
        for day in range(1, self._options.days + 1):
            await self._day(day)
            if self._promises.broken:
                break
        else:
            await self._calm()
        await self.home.stop(self._user.calls)

    async def _day(self, day: int) -> None:
        """Run through one day."""
        began = real_seconds()
        revokes = day == max(2, self._options.days // 2)
        restarts = day % DAYS_BETWEEN_RESTARTS == 1
        is_cut_off = day % DAYS_BETWEEN_RESTARTS == 2
        hours = sorted(self._random.sample(range(1, 23), 3))
        await self._act_until(day, hours[0])
        if revokes:
            await self._revoke()
        await self._act_until(day, hours[1])
        if restarts or is_cut_off:
            # Not when the user starts something, but while it may still be in progress.
            await asyncio.sleep(self._random.uniform(1, 20))
            end = self.home.cut_power if is_cut_off else self.home.stop
            await end(self._user.calls)
            await asyncio.sleep(self._random.randrange(3600))
            await self.home.start()
        await self._act_until(day, hours[2])
        await self._exchange_sims()
        await self._act_in_trouble(day)
        self._ledger.read_journal()
        self._ledger.check_due()
        self.sizes.append(_measure())
        say(
            f"day {day:2} of {self._options.days}: {real_seconds() - began:5.1f} s, "
            f"{self.sizes[-1].megabytes:.0f} MB, {self.sizes[-1].blocks} blocks, "
            f"{self._promises.counts['requests']} requests so far"
        )

    async def _act_in_trouble(self, day: int) -> None:
        """Act until the end of a day, while one SIM cannot be read, and on every other day the disk is full."""
        iccid = self._random.choice(sorted(self.home.sims()))
        self._promises.count("SIMs that hung")
        with portal_setup.hanging_reads(self._portal, iccid):
            if day % DAYS_BETWEEN_FULL_DISKS == 0:
                self._ledger.is_disk_full = True
                with full_disk():
                    await self._act_until(day, 24)
                self._ledger.is_disk_full = False
            else:
                await self._act_until(day, 24)

    async def _act_until(self, day: int, hour: int) -> None:
        """Act as the user until an hour of a day; do nothing if it has passed."""
        number = self._options.sims * ACTIONS_A_SIM_A_DAY
        loop = asyncio.get_running_loop()
        until = (day - 1) * DAY + hour * 3600
        while (left := until - loop.time()) > virtual.CLOCK_RESOLUTION:
            await self._user.act_for(min(left, 3600), actions_a_day=number)
            self._ledger.read_journal()

    async def _exchange_sims(self) -> None:
        """Remove some SIMs and add others."""
        there = self.home.sims()
        others = sorted(self._portal.sims.keys() - there.keys())
        number = min(len(others), 2)
        for iccid in self._random.sample(sorted(there), number):
            self._user.remove_sim(iccid)
        await self._user.add_sims(self._random.sample(others, number))

    async def _revoke(self) -> None:
        """Revoke the key, and let the user enter the new one hours later."""
        self._ledger.read_journal()
        before = self._promises.counts["log-ins"]
        self._portal.state.accounts[portal_setup.CLIENT_ID].secret_key = portal_setup.NEW_KEY
        self._portal.state.revoke_tokens()
        await asyncio.sleep(4 * 3600)
        self._ledger.read_journal()
        log_ins = self._promises.counts["log-ins"] - before
        self._promises.count("log-ins while the key was revoked", log_ins)
        asked = await self._user.give_new_key(portal_setup.NEW_KEY)
        if asked != 1 or log_ins > 1:
            how = f"{asked} times, after {log_ins} log-ins"
            self._promises.mark_broken(Promise.ASKED_ONCE, how)
        await asyncio.sleep(1800)

    async def _calm(self) -> None:
        """Wait until everything has ended, and compare the states with the portal."""
        self._portal.faults.clear()
        for sim in self._portal.sims.values():
            sim.bytes_per_second = 0
        before = self._promises.counts["requests"]
        await asyncio.sleep(CALM_HOURS * 3600)
        self._ledger.read_journal()
        self._promises.count("requests in the calm", self._promises.counts["requests"] - before)
        self._ledger.check_due(everything=True)
        for iccid in self.home.sims():
            self._compare(iccid)
        for issue in ir.async_get(self.home.hass).issues.values():
            if issue.translation_key == "cannot_save":
                self._promises.mark_broken(Promise.STORED_FIRST, "the repair is left")
        if self.home.hass.config_entries.flow.async_progress():
            self._promises.mark_broken(Promise.ASKED_ONCE, "a flow is left")
        self._check_memory()
        await self._check_secrets()

    def _compare(self, iccid: str) -> None:
        """Compare the states of a SIM with the portal."""
        sim = self._portal.sims[iccid]
        shown = (
            self.home.state("sensor", iccid, "status"),
            self.home.state("sensor", iccid, "data_usage"),
        )
        # A count that has fallen to zero is unknown for a day: it may come back.
        is_usage_right = (
            sim.data_usage == 0
            if shown[1] == STATE_UNKNOWN
            else round(float(shown[1] or -1) * 10**6) == sim.data_usage
        )
        if shown[0] != sim.status.lower() or not is_usage_right:
            how = f"{iccid} is {sim.status} and used {sim.data_usage}, but shown as {shown}"
            self._promises.mark_broken(Promise.SHOWS_THE_PORTAL, how)
        self._promises.count("SIMs compared in the end")

    def _check_memory(self) -> None:
        """Compare the memory at the end with that after the first day."""
        first, last = self.sizes[0], self.sizes[-1]
        if last.blocks > first.blocks * (
            1 + GROWTH_OF_BLOCKS
        ) or last.megabytes > first.megabytes * (1 + GROWTH_OF_MEGABYTES):
            self._promises.mark_broken(Promise.MEMORY_IS_FLAT, f"{first} became {last}")

    async def _check_secrets(self) -> None:
        """Search everything that a user can see or share for secrets and personal data."""
        hass, entry = self.home.hass, self.home.entry
        shown = {
            "states": [state.as_dict() for state in hass.states.async_all()],
            "repairs": [issue.to_json() for issue in ir.async_get(hass).issues.values()],
            "flows": hass.config_entries.flow.async_progress(),
            "journal": [exchange.as_dict() for exchange in self._portal.journal],
        }
        diagnoses = [
            await async_get_config_entry_diagnostics(hass, entry),
            *[
                await async_get_device_diagnostics(hass, entry, device)
                for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
            ],
        ]
        for place, things in (shown | {"diagnostics": diagnoses}).items():
            if portal_setup.CANARY in repr(things):
                self._promises.mark_broken(Promise.KEEPS_SECRETS, f"a secret is in the {place}")
        if found := PERSONAL.search(repr(diagnoses)):
            self._promises.mark_broken(Promise.KEEPS_SECRETS, f"{found[0]} is in the diagnostics")
        self._promises.count("diagnostics read", len(diagnoses))


def _check_files(folder: Path, promises: Promises) -> None:
    """Check that secrets are only in Home Assistant's file of config entries."""
    holders = [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and portal_setup.CANARY.encode() in path.read_bytes()
    ]
    if holders != ["core.config_entries"]:
        promises.mark_broken(Promise.KEEPS_SECRETS, f"secrets are in the files {holders}")


def _measure() -> Sizes:
    """Return the memory of the process after a garbage collection."""
    clear_caches()
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sizes(megabytes=pages * 4096 / 10**6, blocks=sys.getallocatedblocks())


def _spare(sims: int) -> int:
    """Return the number of SIMs that are not added at first."""
    return max(2, sims // 10)


def _account(base_url: str) -> dict[str, Any]:
    """Return the input for the form of an account."""
    return {
        "environment": "custom",
        "client_id": portal_setup.CLIENT_ID,
        "secret_key": portal_setup.KEY,
        "other": {"base_url": base_url},
    }


def _polling(interval: int) -> dict[str, Any]:
    """Return the input for the form of the options."""
    return {
        "poll_interval": interval,
        "billing_day": 1,
        "data_unit": "bytes",
        "watch_sms": True,
        "advanced": {"request_rate": 4, "max_concurrent_requests": 2},
    }


def say(text: str) -> None:
    """Print to standard error; standard output is for the results."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def _watched(promises: Promises, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Check the log, at debug level, while the context lasts."""
    watch = Watch(promises)
    logging.getLogger().addHandler(watch)
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default", ResourceWarning)
    loop.set_exception_handler(
        lambda _, context: promises.mark_broken(Promise.NO_EXCEPTION, str(context))
    )
    try:
        yield
    finally:
        logging.getLogger().removeHandler(watch)


@contextmanager
def _blocking_calls_detected() -> Iterator[None]:
    """Make Home Assistant report blocking calls in the event loop while the context lasts."""
    block_async_io.enable()
    try:
        yield
    finally:
        for call in block_async_io._BLOCKED_CALLS.calls:  # noqa: SLF001
            setattr(call.object, call.function, call.original_func)


async def _run(options: Namespace, folder: Path, url: str, promises: Promises) -> Soak:
    """Run the soak with its own portal."""
    # The interval at which a hanging request checks whether its client is still connected.
    sending._LOOK_SECONDS = 5  # noqa: SLF001
    number = options.sims + _spare(options.sims)
    async with MockPortal(portal_setup.scenario(Random(options.seed), number)) as portal:  # noqa: S311
        ledger = Ledger(portal, promises)
        home = SoakHomeAssistant(folder, url, promises, ledger.record_event)
        soak = Soak(options, portal, home, ledger, promises)
        try:
            await soak.run()
        except Exception as err:  # noqa: BLE001  one of the soak's own must not hide what was found
            promises.mark_broken(Promise.NO_EXCEPTION, "".join(format_exception(err)))
        return soak


def _soak(options: Namespace) -> Report:
    """Run the soak in a temporary folder, and return the report."""
    global_random.seed(options.seed)
    loop = virtual.VirtualLoop()
    promises = Promises(clock=lambda: START + timedelta(seconds=loop.time()))
    began, worked = real_seconds(), time.process_time()
    # In memory where possible: the disk is not what is tested.
    memory = Path("/dev/shm")  # noqa: S108
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        url = prepare(folder)
        with (
            virtual.virtual_time(loop, START),
            portal_setup.recognizable_tokens(),
            _watched(promises, loop),
            _blocking_calls_detected(),
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            soak = runner.run(_run(options, folder, url, promises))
        _check_files(folder, promises)
    return Report(
        days=options.days,
        sims=options.sims,
        seed=options.seed,
        interval=options.interval,
        seconds=real_seconds() - began,
        processor_seconds=time.process_time() - worked,
        restarts=soak.home.restarts,
        power_cuts=soak.home.power_cuts,
        sizes=soak.sizes,
        counts=dict(promises.counts),
        broken=promises.broken,
    )


def main() -> int:
    """Run the soak and print the report."""
    parser = ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=30, help="virtual days, two at least")
    parser.add_argument("--sims", type=int, default=50)
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed makes nearly the same month"
    )
    parser.add_argument("--interval", type=int, default=45, help="minutes between polls of a SIM")
    parser.add_argument("--json", action="store_true", help="print every figure")
    options = parser.parse_args()
    report = _soak(options)
    sys.stdout.write((report.as_json() if options.json else report.as_table()) + "\n")
    for line in report.broken:
        say(f"BROKEN (seed {options.seed}): {line}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
