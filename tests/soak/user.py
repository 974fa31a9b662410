"""A simulated user who acts at random intervals, reproducibly by a seed."""

import asyncio
from collections.abc import Coroutine
from itertools import count
from random import Random
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.core import SupportsResponse
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.iot_portal.const import DOMAIN
from mock_portal import MockPortal

from .home_assistant import SoakHomeAssistant
from .ledger import Kind, Ledger
from .portal_setup import STATUSES, TERMINAL_STATUSES, change_sim
from .promises import Promises
from .virtual import CLOCK_RESOLUTION

# How often the user repeats what has failed.
TRIES: Final = 20
MOST_IN_BULK: Final = 6
STATUS_CHANGES: Final = (
    "immediate",
    "after_seconds",
    "after_seconds",
    "after_reads",
    "never",
    "refused",
)


class SimulatedUser:
    """A user who calls actions and adds and removes SIMs; each SIM has one action at a time."""

    def __init__(
        self,
        home: SoakHomeAssistant,
        portal: MockPortal,
        ledger: Ledger,
        promises: Promises,
        random: Random,
    ) -> None:
        """Store the Home Assistant, the portal and the records."""
        self._home = home
        self._portal = portal
        self._ledger = ledger
        self._promises = promises
        self._random = random
        self._numbers = count(1)
        self._busy: set[str] = set()
        self.calls: set[asyncio.Task[None]] = set()

    async def act_for(self, seconds: float, *, actions_a_day: int) -> None:
        """Act at random intervals for some seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        # Less than this does not move the virtual clock.
        while (left := until - loop.time()) > CLOCK_RESOLUTION:
            await asyncio.sleep(min(left, self._random.expovariate(actions_a_day / 86400)))
            self._act()

    def _act(self) -> None:
        """Start one random action without waiting for its end."""
        sims = self._home.sims() if self._home.entry.subentries else {}
        free = sorted(sims.keys() - self._busy)
        if not free:
            return
        iccid = self._random.choice(free)
        change_sim(self._portal.sims[self._random.choice(free)], self._random)
        self._receive_sms(self._random.choice(free))
        actions = [
            self._send,
            self._notify,
            self._ask,
            self._ask,
            self._note,
            self._edit_status,
            self._press,
            self._get,
        ]
        if self._random.randrange(20):
            self._begin(self._random.choice(actions)(iccid), iccid)
        else:
            iccids = self._random.sample(free, min(len(free), MOST_IN_BULK))
            self._begin(self._edit_many(iccids), *iccids)

    def _begin(self, call: Coroutine[Any, Any, None], *iccids: str) -> None:
        """Start a call, and mark its SIMs as busy until it ends."""
        self._busy.update(iccids)
        task = asyncio.create_task(call)
        self.calls.add(task)

        def over(_: object) -> None:
            self._busy.difference_update(iccids)
            self.calls.discard(task)

        task.add_done_callback(over)

    async def _call(self, domain: str, action: str, data: dict[str, Any]) -> Any:
        """Call an action, and return its response if it has one."""
        self._promises.count("actions")
        services = self._home.hass.services
        answers = services.supports_response(domain, action) is not SupportsResponse.NONE
        return await services.async_call(
            domain, action, data, blocking=True, return_response=answers
        )

    def _devices(self, *iccids: str) -> dict[str, list[str]]:
        """Return the action data that selects SIMs."""
        registry, entry_id = dr.async_get(self._home.hass), self._home.entry.entry_id
        devices = [
            registry.async_get_device_by_identifier((DOMAIN, iccid), entry_id) for iccid in iccids
        ]
        return {ATTR_DEVICE_ID: [device.id if device else "" for device in devices]}

    def _entity(self, domain: str, iccid: str, key: str) -> str | None:
        """Return the entity ID of a SIM's entity, or None if it does not exist yet."""
        return er.async_get(self._home.hass).async_get_entity_id(domain, DOMAIN, f"{iccid}_{key}")

    def _receive_sms(self, iccid: str) -> None:
        """Receive an SMS from a SIM, once its earlier SMS have been read."""
        if self._home.entry.runtime_data.account.pending_writes.of(iccid).seen_sms_ids is None:
            return
        text = f"Private words {next(self._numbers)}"
        sms = self._portal.state.receive_sms(iccid, text)
        self._ledger.expect(str(sms.id), iccid=iccid, text=text)
        self._promises.count("SMS from SIMs")

    async def _send(self, iccid: str) -> None:
        """Send an SMS with the action."""
        text = f"Private words {next(self._numbers)}"
        with self._ledger.requesting(Kind.SMS, "SendSMS", text, iccid):
            await self._call(DOMAIN, "send_sms", {**self._devices(iccid), "message": text})

    async def _notify(self, iccid: str) -> None:
        """Send an SMS with the notify entity."""
        if (entity_id := self._entity("notify", iccid, "send_sms")) is None:
            return
        text = f"Private words {next(self._numbers)}"
        with self._ledger.requesting(Kind.SMS, "SendSMS", text, iccid):
            data = {ATTR_ENTITY_ID: entity_id, "message": text}
            await self._call("notify", "send_message", data)

    def _status(self) -> dict[str, Any]:
        """Return a random status, and choose at random how the portal handles it; few are terminal."""
        self._portal.dialects["status_change"] = self._random.choice(STATUS_CHANGES)
        status = self._random.choice(STATUSES if self._random.randrange(20) else TERMINAL_STATUSES)
        return {"status": status, "confirm_terminal": status in TERMINAL_STATUSES}

    async def _ask(self, iccid: str) -> None:
        """Request a status."""
        data = self._status()
        with self._ledger.requesting(Kind.STATUS, "RequestStatusChange", data["status"], iccid):
            await self._call(DOMAIN, "request_status_change", self._devices(iccid) | data)

    async def _edit_status(self, iccid: str) -> None:
        """Edit the status of a SIM."""
        data = self._status()
        changes = {"changes": {"status": data.pop("status")}}
        with self._ledger.requesting(
            Kind.STATUS, "EditDevice", changes["changes"]["status"], iccid
        ):
            await self._call(DOMAIN, "edit_device", self._devices(iccid) | data | changes)

    async def _edit_many(self, iccids: list[str]) -> None:
        """Edit the status of several SIMs, and expect the report."""
        data = self._status()
        changes = {"changes": {"status": data.pop("status")}}
        status = changes["changes"]["status"]
        with self._ledger.requesting(Kind.STATUS, "BulkEditDevice", status, *iccids):
            answer = await self._call(
                DOMAIN, "bulk_edit_devices", self._devices(*iccids) | data | changes
            )
            self._ledger.expect(answer["accounts"][0]["queue_id"])
            self._promises.count("edits of many SIMs")

    async def _note(self, iccid: str) -> None:
        """Write a note for a SIM."""
        note = f"Note {next(self._numbers)}"
        with self._ledger.requesting(Kind.NOTE, "EditDevice", note, iccid):
            data = {**self._devices(iccid), "changes": {"simNotes": note}}
            await self._call(DOMAIN, "edit_device", data)

    async def _press(self, iccid: str) -> None:
        """Press the refresh button."""
        if (entity_id := self._entity("button", iccid, "refresh")) is not None:
            try:
                await self._call("button", "press", {ATTR_ENTITY_ID: entity_id})
            except HomeAssistantError:
                self._promises.count("refresh: failed")

    async def _get(self, iccid: str) -> None:
        """Call get_sim."""
        try:
            await self._call(DOMAIN, "get_sim", self._devices(iccid))
        except HomeAssistantError:
            self._promises.count("get_sim: failed")

    async def add_account(self, data: dict[str, Any], options: dict[str, Any]) -> None:
        """Add the account and set its options."""
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
        """Add SIMs to the account, with retries."""
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
                if result.get("step_id") == "summary" and not result["errors"]:
                    result = await flows.async_configure(
                        flow["flow_id"], {"iccids": "\n".join(iccids)}
                    )
                if result["type"] is FlowResultType.CREATE_ENTRY:
                    self._promises.count("SIMs added", len(iccids))
                    return
                flows.async_abort(flow["flow_id"])
            await asyncio.sleep(600)

    def remove_sim(self, iccid: str) -> None:
        """Remove a SIM, whatever is in progress."""
        entry = self._home.entry
        self._ledger.sim_removed(iccid)
        self._home.hass.config_entries.async_remove_subentry(entry, self._home.sims()[iccid])
        self._promises.count("SIMs removed")

    async def give_new_key(self, key: str) -> int:
        """Enter the new key in all reauthentication flows, and return their number."""
        flows = self._home.hass.config_entries.flow
        waiting = flows.async_progress_by_handler(DOMAIN)
        for flow in waiting:
            for _ in range(TRIES):
                result = await flows.async_configure(flow["flow_id"], {"secret_key": key})
                if result["type"] is FlowResultType.ABORT:
                    break
                await asyncio.sleep(60)
        return len(waiting)
