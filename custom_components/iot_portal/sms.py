"""SMS to and from a SIM: sent at most once and followed to their end, and received ones noticed."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any, Final

from homeassistant.core import Context, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .api import (
    DELIVERED_STATUSES,
    FAILED_STATUSES,
    IotPortalError,
    IotPortalNotFoundError,
    Sms,
    SmsList,
    SmsStatus,
    sms_status,
)
from .api.pacing import Priority, priority
from .clock import elapsed_since, is_within
from .const import LOGGER
from .errors import check_message
from .follow_up import QUICK_CHECKS, FollowUp, TrackedSim, may_have_been_sent
from .models import ReceivedSms, SentSms, SimEvent, SmsEventType

# Each new SMS costs a request; the rest is read by the next poll.
MAX_NEW_SMS_PER_POLL: Final = 20
# For so many polls the list may name an SMS that the portal cannot return yet.
MAX_POLLS_FOR_UNKNOWN_SMS: Final = 4
MAX_GONE_SMS: Final = 1000
# A day of polls: an SMS that cannot be read for so long will not be.
MAX_POLLS_FOR_UNREADABLE_SMS: Final = 96


class SmsMessages:
    """Sends SMS to one SIM, and publishes their outcome and the SMS that the SIM sends."""

    def __init__(self, sim: TrackedSim) -> None:
        """Start with what an earlier run has left."""
        self._sim = sim
        # A person may send another SMS before these are resumed.
        self._left_over = list(sim.data.writes.sent_sms)
        self._follow_ups: dict[str, FollowUp] = {}
        self._unknown: Counter[str] = Counter()
        self._has_stopped = False
        self.is_list_complete = True

    @callback
    def async_resume(self) -> None:
        """Resume what was pending when Home Assistant stopped."""
        for sms in self._left_over:
            if sms.has_ended:
                continue
            if sms.sms_id is None:
                # Home Assistant stopped between the request and its answer.
                self._end(sms, SmsEventType.SMS_UNCONFIRMED)
            else:
                self._start_follow_up(sms.sms_id, sms)

    @callback
    def async_stop(self) -> None:
        """Stop checking, also after a request still under way; what is pending stays stored."""
        self._has_stopped = True
        for follow_up in self._follow_ups.values():
            follow_up.stop()

    async def async_send(self, message: str, context: Context | None = None) -> str | None:
        """Send an SMS to the SIM and return its id, or None where the portal does not tell it."""
        check_message(message)
        sms = SentSms(sent_at=dt_util.utcnow(), context=context)
        self._sim.data.writes.sent_sms.append(sms)
        try:
            await self._sim.pending_writes.async_save_request()
            with self._sim.translated_errors():
                sms_id = await self._sim.client.send_sms(self._sim.iccid, message)
        except (HomeAssistantError, asyncio.CancelledError) as err:
            if may_have_been_sent(err):
                self._end(sms, SmsEventType.SMS_UNCONFIRMED)
            else:
                self._sim.data.writes.sent_sms.remove(sms)
                self._sim.async_writes_changed(context)
            raise
        sms = self._update(sms, sms_id=sms_id)
        try:
            await self._sim.pending_writes.async_save()
        finally:
            self._publish(SmsEventType.SMS_SENT, sms)
            if sms_id is None:
                self._end(sms, SmsEventType.SMS_UNCONFIRMED)
            else:
                self._start_follow_up(sms_id, sms)
        return sms_id

    async def async_check_old(self) -> None:
        """Check the SMS that are too old for quick checks, as a part of a poll."""
        now = dt_util.utcnow()
        for sms in list(self._sim.data.writes.sent_sms):
            is_recent = is_within(sms.sent_at, QUICK_CHECKS[-1], now)
            if not sms.has_ended and sms.sms_id is not None and not is_recent:
                await self._check(sms.sms_id)

    async def async_check_new(self, sms_list: SmsList) -> None:
        """Publish the SMS that the SIM has sent since the list of its SMS was read before."""
        if not sms_list.is_complete and self.is_list_complete:
            LOGGER.warning(
                "The portal lists only some of the SMS of %s; others are not noticed",
                self._sim.title,
            )
        self.is_list_complete = sms_list.is_complete
        listed = sms_list.ids
        writes = self._sim.data.writes
        if writes.seen_sms_ids is None:
            writes.seen_sms_ids = listed
            self._sim.async_writes_changed()
            return
        known = {*writes.seen_sms_ids, *(sms.sms_id for sms in writes.sent_sms)}
        new = [sms_id for sms_id in listed if sms_id not in known]
        unread = new[MAX_NEW_SMS_PER_POLL:]
        received: list[ReceivedSms] = []
        for sms_id in new[:MAX_NEW_SMS_PER_POLL]:
            sms = await self._read(sms_id)
            if (sms is None or sms == Sms()) and self._may_become_known(sms_id, sms):
                unread.append(sms_id)
            elif sms is not None and _is_incoming(sms):
                received.append(
                    ReceivedSms(
                        sms_id=sms_id,
                        status=sms.status,
                        text=sms.text,
                        received_at=sms.received or sms.sent,
                    )
                )
        # A list may come without some of its ids, and with them again later.
        gone = [sms_id for sms_id in writes.seen_sms_ids if sms_id not in listed]
        seen = gone[-MAX_GONE_SMS:] + [sms_id for sms_id in listed if sms_id not in unread]
        if seen != writes.seen_sms_ids:
            writes.seen_sms_ids = seen
            writes.last_received_sms = _last_of(received) or writes.last_received_sms
            self._sim.async_writes_changed()
        for received_sms in received:
            self._publish_received(received_sms)

    def _may_become_known(self, sms_id: str, sms: Sms | None) -> bool:
        """Return whether to read an SMS again that the portal lists but cannot return yet."""
        self._unknown[sms_id] += 1
        limit = MAX_POLLS_FOR_UNREADABLE_SMS if sms is None else MAX_POLLS_FOR_UNKNOWN_SMS
        if self._unknown[sms_id] < limit:
            return True
        LOGGER.info("An SMS of %s is left out, as it cannot be read", self._sim.title)
        return False

    def _start_follow_up(self, sms_id: str, sms: SentSms) -> None:
        """Check an SMS until it was delivered or failed."""
        if self._has_stopped:
            return
        self._follow_ups[sms_id] = FollowUp(
            self._sim,
            sms.sent_at,
            check=partial(self._check, sms_id),
            give_up=partial(self._give_up, sms_id),
        )

    async def _check(self, sms_id: str) -> None:
        """Read the delivery status of an SMS."""
        with priority(Priority.CONFIRMATION):
            read = await self._read(sms_id)
        sms = self._pending(sms_id)
        if sms is None or read is None or read.status in (None, sms.status):
            return
        sms = self._update(sms, status=read.status)
        known = sms_status(read.status)
        if known in DELIVERED_STATUSES:
            self._end(sms, SmsEventType.SMS_DELIVERED)
        elif known in FAILED_STATUSES:
            self._end(sms, SmsEventType.SMS_FAILED)

    async def _read(self, sms_id: str) -> Sms | None:
        """Return an SMS; an empty one that the portal does not know, None when it could not be read."""
        try:
            return await self._sim.client.get_sms(sms_id, self._sim.iccid)
        except IotPortalNotFoundError:
            return Sms()
        except IotPortalError as err:
            LOGGER.debug("An SMS of %s could not be read: %s", self._sim.iccid, err)
            return None

    def _give_up(self, sms_id: str) -> None:
        """Publish that the outcome of an SMS is unknown."""
        if (sms := self._pending(sms_id)) is not None:
            self._end(sms, SmsEventType.SMS_UNCONFIRMED)

    def _pending(self, sms_id: str) -> SentSms | None:
        """Return an SMS that has not ended."""
        sent = self._sim.data.writes.sent_sms
        return next((sms for sms in sent if sms.sms_id == sms_id and not sms.has_ended), None)

    def _update(self, sms: SentSms, **changes: Any) -> SentSms:
        """Update an SMS; drop ended ones but the last."""
        sent = self._sim.data.writes.sent_sms
        updated = replace(sms, **changes)
        sent[sent.index(sms)] = updated
        sent[:] = [kept for kept in sent if not kept.has_ended or kept is sent[-1]]
        self._sim.async_writes_changed(sms.context)
        return updated

    def _end(self, sms: SentSms, event_type: SmsEventType) -> None:
        """Publish the outcome of an SMS, and stop checking it."""
        if (follow_up := self._follow_ups.pop(sms.sms_id or "", None)) is not None:
            follow_up.stop()
        # The last SMS stays stored, but who sent it is shown only now.
        ended = self._update(sms, has_ended=True, context=None)
        self._publish(event_type, replace(ended, context=sms.context))

    def _publish(self, event_type: SmsEventType, sms: SentSms) -> None:
        """Publish the progress of an SMS."""
        self._sim.events.async_publish(
            SimEvent(
                event_type=event_type,
                attributes={
                    "sms_id": sms.sms_id,
                    "status": sms.status,
                    "sent_at": sms.sent_at,
                    "took_seconds": round(elapsed_since(sms.sent_at).total_seconds()),
                },
                context=sms.context,
            )
        )

    def _publish_received(self, sms: ReceivedSms) -> None:
        """Publish an SMS from the SIM with its text, for automations to act on."""
        self._sim.events.async_publish(
            SimEvent(
                event_type=SmsEventType.SMS_RECEIVED,
                attributes={
                    "sms_id": sms.sms_id,
                    "status": sms.status,
                    "message": sms.text,
                    "received_at": sms.received_at,
                },
            )
        )


def _last_of(received: list[ReceivedSms]) -> ReceivedSms | None:
    """Return the SMS with the latest time, or else the one that was read last."""
    never = dt_util.utc_from_timestamp(0)
    return max(reversed(received), key=lambda sms: sms.received_at or never, default=None)


def _is_incoming(sms: Sms) -> bool:
    """Return whether an SMS comes from the SIM; where the portal does not say, its status does."""
    if sms.is_incoming is not None:
        return sms.is_incoming
    return sms.status is not None and sms_status(sms.status) is SmsStatus.RECEIVED
