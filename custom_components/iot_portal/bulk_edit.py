"""Edits of many SIMs in one request, whose end the portal reports to a webhook."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid4

from aiohttp.hdrs import METH_GET, METH_POST, METH_PUT
from aiohttp.web import Request, RequestPayloadError
from homeassistant.components import webhook
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.network import NoURLAvailableError
from homeassistant.util import dt as dt_util
from homeassistant.util.json import json_loads

from .account import IotPortalAccount
from .const import DOMAIN
from .errors import translated_errors
from .happenings import BulkEditEnd, Happening
from .log import LOGGER
from .pursuit import PATIENCE, is_outcome_unknown, seconds_since
from .status_changes import StatusChanges, followed
from .store import BulkEdit

# A report on the largest fleet has some 100 bytes for each SIM.
MAX_REPORT_BYTES: Final = 256 * 1024
METHODS: Final = (METH_GET, METH_POST, METH_PUT)
REPORT_TIMEOUT: Final = 10
MAX_STATUS_LENGTH: Final = 100


class BulkEdits:
    """Sends edits of many SIMs of an account and tells how they end."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: IotPortalAccount,
        sims: Callable[[], Mapping[str, StatusChanges]],
    ) -> None:
        """Work for an account; a status among the changes is followed by each SIM itself."""
        self._hass = hass
        self._account = account
        self._all_sims = sims
        self._deadlines: dict[str, CALLBACK_TYPE] = {}

    @callback
    def async_resume(self) -> None:
        """Wait again for the reports that had not come when Home Assistant ended."""
        for edit in self._account.memory.bulk_edits.values():
            self._listen(edit)

    @callback
    def async_stop(self) -> None:
        """Listen no more; what is waited for stays in memory."""
        for webhook_id in list(self._deadlines):
            self._stop_listening(webhook_id)

    async def async_send(
        self, iccids: list[str], changes: Mapping[str, Any]
    ) -> tuple[object, str | None]:
        """Queue the same changes of many SIMs; return the answer and the queue id that is listened for.

        Without an external URL of Home Assistant nobody can report the end.
        """
        edit, url = self._new_edit(iccids)
        if url is not None:
            self._account.memory.bulk_edits[edit.webhook_id] = edit
            self._listen(edit)
        entry = self._account.config_entry
        async with followed(
            self._sims(iccids), changes.get("status"), self._account.memory, in_bulk=True
        ):
            try:
                with translated_errors(self._hass, entry, entry.title):
                    answer = await self._account.client.bulk_edit_devices(
                        iccids, changes, queue_id=edit.queue_id, webhook_url=url
                    )
            except HomeAssistantError as err:
                if not is_outcome_unknown(err):
                    self._forget(edit)
                raise
        return answer, edit.queue_id if url is not None else None

    def _new_edit(self, iccids: list[str]) -> tuple[BulkEdit, str | None]:
        """Return an edit with ids that nobody can guess, and where its end can be reported to."""
        edit = BulkEdit(
            queue_id=uuid4().hex,
            webhook_id=webhook.async_generate_id(),
            iccids=iccids,
            requested_at=dt_util.utcnow(),
        )
        try:
            url = webhook.async_generate_url(self._hass, edit.webhook_id, allow_internal=False)
        except NoURLAvailableError:
            url = None
        return edit, url

    def _listen(self, edit: BulkEdit) -> None:
        """Wait for the report of an edit, until patience ends."""
        webhook.async_register(
            self._hass,
            DOMAIN,
            "IoT Portal bulk edit",
            edit.webhook_id,
            self._async_reported,
            allowed_methods=METHODS,
        )
        # Not more than that where the clock was set back since.
        left = min(max(edit.requested_at + PATIENCE - dt_util.utcnow(), timedelta()), PATIENCE)
        job = HassJob(partial(self._async_timed_out, edit), cancel_on_shutdown=True)
        self._deadlines[edit.webhook_id] = async_call_later(self._hass, left, job)

    def _stop_listening(self, webhook_id: str) -> None:
        """Take the webhook of an edit away."""
        webhook.async_unregister(self._hass, webhook_id)
        if (cancel := self._deadlines.pop(webhook_id, None)) is not None:
            cancel()

    def _forget(self, edit: BulkEdit) -> None:
        """Wait for an edit no more."""
        self._stop_listening(edit.webhook_id)
        if self._account.memory.bulk_edits.pop(edit.webhook_id, None) is not None:
            self._account.memory.async_save_soon()

    async def _async_reported(self, hass: HomeAssistant, webhook_id: str, request: Request) -> None:
        """Take the report of an edit; whatever else is sent here is left without an answer."""
        report = await _read_report(request)
        edit = self._account.memory.bulk_edits.get(webhook_id)
        if edit is None or report is None or edit.queue_id not in report:
            LOGGER.debug("A webhook was called by somebody who does not know its queue id")
            return
        status, failed, has_failed = _understand(report, edit.iccids)
        self._end(
            edit,
            BulkEditEnd.FAILED if has_failed else BulkEditEnd.FINISHED,
            status=status,
            failed_sims=failed,
        )
        self._account.config_entry.async_create_background_task(
            hass, self._look(edit.iccids), f"{DOMAIN} look after a bulk edit"
        )

    @callback
    def _async_timed_out(self, edit: BulkEdit, *_: object) -> None:
        """Say that no report has come."""
        self._end(edit, BulkEditEnd.TIMED_OUT)

    def _end(self, edit: BulkEdit, event: BulkEditEnd, **attributes: Any) -> None:
        """Tell how an edit ended; its webhook is gone before anybody can call it again."""
        self._forget(edit)
        self._account.bulk_edits.async_tell(
            Happening(
                event=event,
                attributes={
                    "queue_id": edit.queue_id,
                    "sims": len(edit.iccids),
                    "requested_at": edit.requested_at,
                    "took_seconds": seconds_since(edit.requested_at),
                    **attributes,
                },
            )
        )

    async def _look(self, iccids: list[str]) -> None:
        """See what an edit has done to its SIMs."""
        for sim in self._sims(iccids):
            await sim.async_look()

    def _sims(self, iccids: list[str]) -> list[StatusChanges]:
        """Return the SIMs of an edit that are still there."""
        sims = self._all_sims()
        return [sims[iccid] for iccid in iccids if iccid in sims]


async def _read_report(request: Request) -> str | None:
    """Return the body of a report, or the query of one that has none; None for what is no report.

    Whatever is wrong with the request must not be raised: Home Assistant would log it, with the webhook id.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(REPORT_TIMEOUT):
            while chunk := await request.content.read(MAX_REPORT_BYTES):
                body += chunk
                if len(body) > MAX_REPORT_BYTES:
                    return None
    except RequestPayloadError, OSError:
        return None
    return body.decode(errors="replace") or request.query_string


def _understand(report: str, iccids: list[str]) -> tuple[str | None, list[str], bool]:
    """Return what a report says: a status, the SIMs of the edit that failed, and whether it failed."""
    try:
        told = json_loads(report)
    except ValueError:
        return None, [], False
    if not isinstance(told, dict):
        return None, [], False
    status, results = told.get("status"), told.get("results")
    word = status[:MAX_STATUS_LENGTH] if isinstance(status, str) else None
    failed = {
        str(result.get("iccid"))
        for result in (results if isinstance(results, list) else [])
        if isinstance(result, dict) and result.get("success") is False
    }
    has_failed = bool(failed) or any(bad in (word or "").lower() for bad in ("fail", "error"))
    return word, [iccid for iccid in iccids if iccid in failed], has_failed
