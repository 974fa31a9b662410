"""Somebody who uses Home Assistant all day long, at random but by a seed."""

import asyncio
from collections.abc import Coroutine
from itertools import count
from random import Random
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .home import Home
from .ledger import Kind, Ledger
from .promises import Promises
from .world import STATUSES, live

# How often a person tries again what the line has spoilt.
TRIES: Final = 20
STATUS_CHANGES: Final = (
    "immediate",
    "after_seconds",
    "after_seconds",
    "after_reads",
    "never",
    "refused",
)


class Person:
    """Sends, asks, edits, presses, adds and removes; one thing at a time for each SIM."""

    def __init__(
        self, home: Home, portal: MockPortal, ledger: Ledger, promises: Promises, random: Random
    ) -> None:
        """Sit down."""
        self._home = home
        self._portal = portal
        self._ledger = ledger
        self._promises = promises
        self._random = random
        self._numbers = count(1)
        self._busy: set[str] = set()
        self.calls: set[asyncio.Task[None]] = set()

    async def act_for(self, seconds: float, *, actions_a_day: int) -> None:
        """Do this and that for a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, self._random.expovariate(actions_a_day / 86400)))
            self._act()

    def _act(self) -> None:
        """Do one thing, without waiting for its end."""
        sims = self._home.sims() if self._home.entry.subentries else {}
        free = sorted(sims.keys() - self._busy)
        if not free:
            return
        iccid = self._random.choice(free)
        live(self._portal.sims[self._random.choice(free)], self._random)
        actions = [
            self._send,
            self._notify,
            self._ask,
            self._ask,
            self._edit,
            self._press,
            self._get,
        ]
        self._begin(iccid, self._random.choice(actions)(iccid))

    def _begin(self, iccid: str, call: Coroutine[Any, Any, None]) -> None:
        """Call without waiting, and leave the SIM alone until the call is over."""
        self._busy.add(iccid)
        task = asyncio.create_task(call)
        self.calls.add(task)

        def over(_: object) -> None:
            self._busy.discard(iccid)
            self.calls.discard(task)

        task.add_done_callback(over)

    async def _call(self, domain: str, action: str, data: dict[str, Any]) -> None:
        """Call an action."""
        self._promises.note("actions")
        await self._home.hass.services.async_call(domain, action, data, blocking=True)

    def _device(self, iccid: str) -> dict[str, str]:
        """Return how an action names a SIM."""
        device = dr.async_get(self._home.hass).async_get_device_by_identifier(
            (DOMAIN, iccid), self._home.entry.entry_id
        )
        return {ATTR_DEVICE_ID: device.id if device else ""}

    def _entity(self, domain: str, iccid: str, key: str) -> str | None:
        """Return an entity of a SIM, which may be new and not there yet."""
        return er.async_get(self._home.hass).async_get_entity_id(domain, DOMAIN, f"{iccid}_{key}")

    async def _send(self, iccid: str) -> None:
        """Send an SMS by the action."""
        text = f"Private words {next(self._numbers)}"
        with self._ledger.asking(iccid, Kind.SMS, text):
            await self._call(DOMAIN, "send_sms", {**self._device(iccid), "message": text})

    async def _notify(self, iccid: str) -> None:
        """Send an SMS by the entity."""
        if (entity_id := self._entity("notify", iccid, "sms")) is None:
            return
        text = f"Private words {next(self._numbers)}"
        with self._ledger.asking(iccid, Kind.SMS, text):
            data = {ATTR_ENTITY_ID: entity_id, "message": text}
            await self._call("notify", "send_message", data)

    async def _ask(self, iccid: str) -> None:
        """Ask for a status, which the portal takes as it likes."""
        self._portal.dialects["status_change"] = self._random.choice(STATUS_CHANGES)
        status = self._random.choice(STATUSES)
        with self._ledger.asking(iccid, Kind.STATUS, status):
            data = {**self._device(iccid), "status": status}
            await self._call(DOMAIN, "request_status_change", data)

    async def _edit(self, iccid: str) -> None:
        """Write a note on a SIM."""
        note = f"Note {next(self._numbers)}"
        with self._ledger.asking(iccid, Kind.EDIT, note):
            data = {**self._device(iccid), "changes": {"simNotes": note}}
            await self._call(DOMAIN, "edit_device", data)

    async def _press(self, iccid: str) -> None:
        """Press refresh."""
        if (entity_id := self._entity("button", iccid, "refresh")) is not None:
            await self._call("button", "press", {ATTR_ENTITY_ID: entity_id})

    async def _get(self, iccid: str) -> None:
        """Look at all that the portal tells."""
        try:
            await self._home.hass.services.async_call(
                DOMAIN, "get_sim", self._device(iccid), blocking=True, return_response=True
            )
        except HomeAssistantError:
            self._promises.note("get_sim: failed")

    async def add_account(self, data: dict[str, Any], options: dict[str, Any]) -> None:
        """Add the account and set how it is polled."""
        flows = self._home.hass.config_entries.flow
        flow = await flows.async_init(DOMAIN, context={"source": "user"})
        for _ in range(TRIES):
            result = await flows.async_configure(flow["flow_id"], data)
            if result["type"] is FlowResultType.CREATE_ENTRY:
                break
        entry = self._home.entry
        options_flow = await self._home.hass.config_entries.options.async_init(entry.entry_id)
        await self._home.hass.config_entries.options.async_configure(
            options_flow["flow_id"], options
        )
        await asyncio.sleep(60)

    async def add_sims(self, iccids: list[str]) -> None:
        """Add SIMs below the account; a bad line may take some tries."""
        flows = self._home.hass.config_entries.subentries
        for _ in range(TRIES):
            flow = await flows.async_init(
                (self._home.entry.entry_id, "sim"), context={"source": "user"}
            )
            if flow["type"] is FlowResultType.FORM:
                result = await flows.async_configure(flow["flow_id"], {"iccids": "\n".join(iccids)})
                for _ in range(TRIES):
                    if result["type"] is not FlowResultType.SHOW_PROGRESS:
                        break
                    await asyncio.sleep(30)
                    result = await flows.async_configure(flow["flow_id"])
                if result["type"] is FlowResultType.CREATE_ENTRY:
                    self._promises.note("SIMs added", len(iccids))
                    return
                flows.async_abort(flow["flow_id"])
            await asyncio.sleep(600)

    def remove_sim(self, iccid: str) -> None:
        """Remove a SIM, whatever is under way."""
        entry = self._home.entry
        self._ledger.sim_removed(iccid)
        self._home.hass.config_entries.async_remove_subentry(entry, self._home.sims()[iccid])
        self._promises.note("SIMs removed")

    async def give_new_key(self, key: str) -> int:
        """Answer the request for a new key; return how many there were."""
        flows = self._home.hass.config_entries.flow
        waiting = flows.async_progress_by_handler(DOMAIN)
        for flow in waiting:
            for _ in range(TRIES):
                result = await flows.async_configure(flow["flow_id"], {"secret_key": key})
                if result["type"] is FlowResultType.ABORT:
                    break
                await asyncio.sleep(60)
        return len(waiting)
