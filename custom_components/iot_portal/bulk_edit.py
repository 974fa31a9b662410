"""Edits of many SIMs in one request, whose outcome the portal reports to a webhook."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from aiohttp.hdrs import METH_GET, METH_POST, METH_PUT
from aiohttp.web import Request, RequestPayloadError
from homeassistant.components import webhook
from homeassistant.core import CALLBACK_TYPE, Context, HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.network import NoURLAvailableError
from homeassistant.util import dt as dt_util
from homeassistant.util.json import json_loads

from .account import IotPortalAccount
from .api import one_line
from .clock import elapsed_since
from .const import DOMAIN, LOGGER
from .coordinator import IotPortalSimCoordinator
from .errors import translated_errors
from .follow_up import PATIENCE, may_have_been_sent
from .models import BulkEditEventType, SimEvent
from .status_requests import StatusRequests, requested_status, tracked_request
from .storage import BulkEdit

# A report on the largest fleet has some 100 bytes for each SIM.
MAX_REPORT_BYTES: Final = 256 * 1024
METHODS: Final = (METH_GET, METH_POST, METH_PUT)
REPORT_TIMEOUT: Final = 10
MAX_STATUS_LENGTH: Final = 100


class BulkEdits:
    """Sends edits of many SIMs of an account, and publishes their outcome."""

    def __init__(
        self,
        hass: HomeAssistant,
        account: IotPortalAccount,
        sims: Mapping[str, IotPortalSimCoordinator],
    ) -> None:
        """Start without edits. `sims` is a live view of the tracked SIMs."""
        self._hass = hass
        self._account = account
        self._sims = sims
        self._cancel_time_out: dict[str, CALLBACK_TYPE] = {}

    @callback
    def async_resume(self) -> None:
        """Wait again for the reports that were pending when Home Assistant stopped."""
        for edit in self._account.pending_writes.bulk_edits.values():
            self._listen(edit)

    @callback
    def async_stop(self) -> None:
        """Stop waiting; pending edits stay stored."""
        for webhook_id in list(self._cancel_time_out):
            self._stop_listening(webhook_id)

    async def async_send(
        self, iccids: list[str], changes: Mapping[str, Any], context: Context | None = None
    ) -> tuple[object, str | None]:
        """Queue the same changes of many SIMs; return the answer, and the queue id of the report.

        Without an external URL of Home Assistant there is no report, and None instead of the id.
        """
        edit, url = self._new_edit(iccids, context)
        if url is not None:
            self._account.pending_writes.bulk_edits[edit.webhook_id] = edit
            self._listen(edit)
        entry = self._account.config_entry
        try:
            async with tracked_request(
                self._status_requests(iccids),
                requested_status(changes),
                self._account.pending_writes,
                in_bulk=True,
                context=context,
            ):
                with translated_errors(self._hass, entry, entry.title):
                    answer = await self._account.client.bulk_edit_devices(
                        iccids, changes, queue_id=edit.queue_id, webhook_url=url
                    )
        except (HomeAssistantError, asyncio.CancelledError) as err:
            if not may_have_been_sent(err):
                self._forget(edit)
            raise
        return answer, edit.queue_id if url is not None else None

    def _new_edit(self, iccids: list[str], context: Context | None) -> tuple[BulkEdit, str | None]:
        """Return an edit with ids that nobody can guess, and the URL for its report."""
        edit = BulkEdit(
            queue_id=uuid4().hex,
            webhook_id=webhook.async_generate_id(),
            iccids=iccids,
            requested_at=dt_util.utcnow(),
            context=context,
        )
        try:
            url = webhook.async_generate_url(self._hass, edit.webhook_id, allow_internal=False)
        except NoURLAvailableError:
            url = None
        return edit, url

    def _listen(self, edit: BulkEdit) -> None:
        """Wait for the report of an edit until the patience ends."""
        webhook.async_register(
            self._hass,
            DOMAIN,
            "IoT Portal bulk edit",
            edit.webhook_id,
            self._async_reported,
            allowed_methods=METHODS,
        )
        left = PATIENCE - elapsed_since(edit.requested_at)
        job = HassJob(partial(self._async_timed_out, edit), cancel_on_shutdown=True)
        self._cancel_time_out[edit.webhook_id] = async_call_later(self._hass, left, job)

    def _stop_listening(self, webhook_id: str) -> None:
        """Unregister the webhook of an edit."""
        webhook.async_unregister(self._hass, webhook_id)
        if (cancel := self._cancel_time_out.pop(webhook_id, None)) is not None:
            cancel()

    def _forget(self, edit: BulkEdit) -> None:
        """Forget an edit that has ended, was refused or was not sent."""
        self._stop_listening(edit.webhook_id)
        if self._account.pending_writes.bulk_edits.pop(edit.webhook_id, None) is not None:
            self._account.pending_writes.async_schedule_save()

    async def _async_reported(self, hass: HomeAssistant, webhook_id: str, request: Request) -> None:
        """Handle the report of an edit; ignore anything else that is sent to the webhook."""
        report = await _read_report(request)
        edit = self._account.pending_writes.bulk_edits.get(webhook_id)
        if edit is None or report is None or edit.queue_id not in report:
            LOGGER.debug("A webhook was called without its queue id")
            return
        status, failed, has_failed = _parse_report(report, edit.iccids)
        self._end(
            edit,
            BulkEditEventType.FAILED if has_failed else BulkEditEventType.FINISHED,
            status=status,
            failed_sims=failed,
        )
        self._account.config_entry.async_create_background_task(
            hass, self._check_sims(edit.iccids), f"{DOMAIN} check of a bulk edit"
        )

    @callback
    def _async_timed_out(self, edit: BulkEdit, *_: object) -> None:
        """Publish that no report was received in time."""
        self._end(edit, BulkEditEventType.TIMED_OUT)

    def _end(self, edit: BulkEdit, event_type: BulkEditEventType, **attributes: Any) -> None:
        """Publish the outcome of an edit; its webhook is removed before it can be called again."""
        self._forget(edit)
        self._account.events.async_publish(
            SimEvent(
                event_type=event_type,
                attributes={
                    "queue_id": edit.queue_id,
                    "sims": len(edit.iccids),
                    "requested_at": edit.requested_at,
                    "took_seconds": round(elapsed_since(edit.requested_at).total_seconds()),
                    **attributes,
                },
                context=edit.context,
            )
        )

    async def _check_sims(self, iccids: list[str]) -> None:
        """Check the status of the SIMs of an edit."""
        for status_requests in self._status_requests(iccids):
            await status_requests.async_check()

    def _status_requests(self, iccids: list[str]) -> list[StatusRequests]:
        """Return the status requests of the SIMs that are still tracked."""
        tracked = {sim.iccid: sim.status_requests for sim in self._sims.values()}
        return [tracked[iccid] for iccid in iccids if iccid in tracked]


async def _read_report(request: Request) -> str | None:
    """Return the body of a report, or its query where the body is empty; None if it is too large or incomplete.

    An error of the request must not be raised: Home Assistant would log it with the webhook id.
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


def _parse_report(report: str, iccids: list[str]) -> tuple[str | None, list[str], bool]:
    """Return the status in a report, the SIMs of the edit that failed, and whether the edit failed."""
    try:
        told = json_loads(report)
    except ValueError:
        return None, [], False
    if not isinstance(told, dict):
        return None, [], False
    status, results = told.get("status"), told.get("results")
    word = one_line(status)[:MAX_STATUS_LENGTH] if isinstance(status, str) else None
    failed = {
        str(result.get("iccid"))
        for result in (results if isinstance(results, list) else [])
        if isinstance(result, dict) and result.get("success") is False
    }
    has_failed = bool(failed) or any(bad in (word or "").lower() for bad in ("fail", "error"))
    return word, [iccid for iccid in iccids if iccid in failed], has_failed
