"""SMS to and from a SIM: sent at most once and followed to their end, and received ones noticed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util

from .api import (
    DELIVERED_STATUSES,
    FAILED_STATUSES,
    IotPortalError,
    IotPortalNotFoundError,
    Sms,
    SmsStatus,
    sms_status,
)
from .api.pacing import Priority, priority
from .context import SimContext
from .errors import check_message
from .happenings import Happening, Happenings, SmsProgress
from .log import LOGGER
from .pursuit import QUICK_LOOKS, Pursuit, is_outcome_unknown, seconds_since
from .sim import SentSms

# New SMS are read one request each; those beyond wait for the next poll.
NEW_SMS_A_POLL: Final = 20
# So many polls may find an SMS in the list that the portal does not know by itself yet.
POLLS_FOR_AN_UNKNOWN_SMS: Final = 4


class Messages:
    """Sends SMS to one SIM, tells how they end, and tells of those that the SIM sends."""

    def __init__(
        self, sim: SimContext, happenings: Happenings, *, show: Callable[[], None]
    ) -> None:
        """Work for whoever reads the SIM, and shows what became of the last SMS."""
        self._sim = sim
        self._happenings = happenings
        self._show = show
        # A person may send another before these are gone on with.
        self._left_over = list(sim.memory.messages)
        self._pursuits: dict[str, Pursuit] = {}
        self._unknown: Counter[str] = Counter()
        self._has_stopped = False

    @property
    def last_sent(self) -> SentSms | None:
        """Return the SMS that was sent last."""
        sent = self._sim.memory.messages
        return sent[-1] if sent else None

    @callback
    def async_resume(self) -> None:
        """Go on with what was under way when Home Assistant ended."""
        for sms in self._left_over:
            if sms.has_ended:
                continue
            if sms.sms_id is None:
                # Home Assistant ended between the request and its answer.
                self._end(sms, SmsProgress.UNCONFIRMED)
            else:
                self._pursue(sms.sms_id, sms.sent_at)

    @callback
    def async_stop(self) -> None:
        """Look no more, not even after a request that is still under way; what is on its way stays in memory."""
        self._has_stopped = True
        for pursuit in self._pursuits.values():
            pursuit.stop()
        self._pursuits.clear()

    async def async_send(self, message: str) -> str | None:
        """Send an SMS to the SIM and return its id, where the portal tells it."""
        check_message(message)
        sms = SentSms(sent_at=dt_util.utcnow())
        self._sim.memory.messages.append(sms)
        await self._sim.account_memory.async_save()
        try:
            with self._sim.translated_errors():
                sms_id = await self._sim.client.send_sms(self._sim.iccid, message)
        except HomeAssistantError as err:
            if is_outcome_unknown(err):
                self._end(sms, SmsProgress.UNCONFIRMED)
            else:
                self._sim.memory.messages.remove(sms)
                self._sim.account_memory.async_save_soon()
            raise
        sms = self._update(sms, sms_id=sms_id)
        await self._sim.account_memory.async_save()
        self._show()
        self._tell(SmsProgress.SENT, sms)
        if sms_id is None:
            self._end(sms, SmsProgress.UNCONFIRMED)
        else:
            self._pursue(sms_id, sms.sent_at)
        return sms_id

    async def async_look_at_old_ones(self) -> None:
        """Look at the SMS on their way that are too old for quick looks, as a part of a poll."""
        now = dt_util.utcnow()
        for sms in list(self._sim.memory.messages):
            # One from the time to come was sent before the clock was set back.
            is_recent = timedelta() <= now - sms.sent_at < QUICK_LOOKS[-1]
            if not sms.has_ended and sms.sms_id is not None and not is_recent:
                await self._look(sms.sms_id)

    async def async_look_for_new_ones(self, listed: list[str]) -> None:
        """Tell of the SMS that the SIM has sent since its list was read before."""
        memory = self._sim.memory
        if memory.seen_sms is None:
            memory.seen_sms = listed
            self._sim.account_memory.async_save_soon()
            return
        known = {*memory.seen_sms, *(sms.sms_id for sms in memory.messages)}
        new = [sms_id for sms_id in listed if sms_id not in known]
        unread = new[NEW_SMS_A_POLL:]
        for sms_id in new[:NEW_SMS_A_POLL]:
            sms = await self._read(sms_id)
            if sms is None or (sms == Sms() and self._may_become_known(sms_id)):
                unread.append(sms_id)
            elif _is_incoming(sms):
                self._tell_received(sms_id, sms)
        seen = [sms_id for sms_id in listed if sms_id not in unread]
        if seen != memory.seen_sms:
            memory.seen_sms = seen
            self._sim.account_memory.async_save_soon()

    def _may_become_known(self, sms_id: str) -> bool:
        """Tell whether to ask once more for an SMS that the portal lists and does not know."""
        self._unknown[sms_id] += 1
        return self._unknown[sms_id] < POLLS_FOR_AN_UNKNOWN_SMS

    def _pursue(self, sms_id: str, sent_at: datetime) -> None:
        """Look at an SMS until it has arrived or failed."""
        if self._has_stopped:
            return
        self._pursuits[sms_id] = Pursuit(
            self._sim,
            sent_at,
            look=partial(self._look, sms_id),
            give_up=partial(self._give_up, sms_id),
        )

    async def _look(self, sms_id: str) -> None:
        """Read how far an SMS got."""
        with priority(Priority.CONFIRMATION):
            found = await self._read(sms_id)
        sms = self._on_its_way(sms_id)
        if sms is None or found is None or found.status in (None, sms.status):
            return
        sms = self._update(sms, status=found.status)
        known = sms_status(found.status)
        if known in DELIVERED_STATUSES:
            self._end(sms, SmsProgress.DELIVERED)
        elif known in FAILED_STATUSES:
            self._end(sms, SmsProgress.FAILED)
        else:
            self._sim.account_memory.async_save_soon()
            self._show()

    async def _read(self, sms_id: str) -> Sms | None:
        """Return an SMS, an empty one that the portal does not know, or None when it could not be read."""
        try:
            return await self._sim.client.get_sms(sms_id)
        except IotPortalNotFoundError:
            return Sms()
        except IotPortalError as err:
            LOGGER.debug("An SMS of %s could not be read: %s", self._sim.title, err)
            return None

    def _give_up(self, sms_id: str) -> None:
        """Say that nobody knows what became of an SMS."""
        if (sms := self._on_its_way(sms_id)) is not None:
            self._end(sms, SmsProgress.UNCONFIRMED)

    def _on_its_way(self, sms_id: str) -> SentSms | None:
        """Return an SMS that has not ended."""
        sent = self._sim.memory.messages
        return next((sms for sms in sent if sms.sms_id == sms_id and not sms.has_ended), None)

    def _update(self, sms: SentSms, **changes: Any) -> SentSms:
        """Keep in mind what has become known of an SMS, and of those that ended only the last one."""
        messages = self._sim.memory.messages
        updated = replace(sms, **changes)
        messages[messages.index(sms)] = updated
        messages[:] = [kept for kept in messages if not kept.has_ended or kept is messages[-1]]
        return updated

    def _end(self, sms: SentSms, event: SmsProgress) -> None:
        """Tell how an SMS ended, and look no more."""
        if (pursuit := self._pursuits.pop(sms.sms_id or "", None)) is not None:
            pursuit.stop()
        ended = self._update(sms, has_ended=True)
        self._sim.account_memory.async_save_soon()
        self._show()
        self._tell(event, ended)

    def _tell(self, event: SmsProgress, sms: SentSms) -> None:
        """Tell how far an SMS got."""
        self._happenings.async_tell(
            Happening(
                event=event,
                attributes={
                    "sms_id": sms.sms_id,
                    "status": sms.status,
                    "sent_at": sms.sent_at,
                    "took_seconds": seconds_since(sms.sent_at),
                },
            )
        )

    def _tell_received(self, sms_id: str, sms: Sms) -> None:
        """Tell of an SMS from the SIM, with its text: that is what an automation acts on."""
        self._happenings.async_tell(
            Happening(
                event=SmsProgress.RECEIVED,
                attributes={
                    "sms_id": sms_id,
                    "status": sms.status,
                    "message": sms.text,
                    "received_at": sms.received or sms.sent,
                },
            )
        )


def _is_incoming(sms: Sms) -> bool:
    """Tell whether an SMS comes from the SIM; where the portal does not say, its status does."""
    if sms.is_incoming is not None:
        return sms.is_incoming
    return sms.status is not None and sms_status(sms.status) is SmsStatus.RECEIVED
