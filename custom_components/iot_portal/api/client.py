"""Client of the IoT Portal Core API."""

import asyncio
from collections.abc import Mapping, Sequence
from random import uniform
import re
from types import NoneType
from typing import Final

from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from .connection import Body, address_fault, connection_error, may_have_arrived, send_once
from .const import SMS_API_VERSION
from .exceptions import (
    Evidence,
    IotPortalAuthenticationError,
    IotPortalCancelledError,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalInputError,
    IotPortalLoginError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    IotPortalTimeoutError,
)
from .models import (
    Credentials,
    Device,
    Session,
    Sms,
    SmsList,
    Usage,
    is_about_others,
    is_empty_list,
    is_last_page,
    login_token,
    object_about,
    sms_about,
    sms_id,
    sms_ids,
    status_word,
)
from .pacing import Pacer, PauseReason, is_for_person, seconds_to_start, start_in_time
from .reasons import Cause, Reason
from .responses import MAX_MESSAGE_LENGTH, Response, unreadable_answer
from .values import Json

READ_ATTEMPTS: Final = 3
# Seconds in which no token is believed to expire.
MIN_TOKEN_LIFE: Final = 30 * 60
# Seconds after refused credentials, unless the portal itself refused them.
FIRST_LOGIN_WAIT: Final = 60
MAX_LOGIN_WAIT: Final = 60 * 60
# Seconds that a log-in is given at least, however long it has waited.
MIN_LOGIN_TIMEOUT: Final = 1

# Beside 401, which means it everywhere.
_LOGIN_REFUSED_STATUSES: Final = {400, 403, 422}
_TRANSIENT_STATUSES: Final = {500, 502, 504}
_ABOUT_TOKEN: Final = re.compile(r"\b(token|session|log ?in|sign ?in)\b", re.IGNORECASE)

# No character in it can change the path, the query or a header, even after decoding.
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class IotPortalClient:
    """One account of the IoT Portal.

    Methods raise no other errors than IotPortalError. Reads are repeated at most twice after a
    transient error. Writes are sent at most once: when the answer is lost they raise
    IotPortalOutcomeUnknownError. One that is cancelled after it may have been sent raises
    IotPortalCancelledError.
    """

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        credentials: Credentials,
        *,
        write_session: ClientSession | None = None,
        pacer: Pacer | None = None,
        timeout: float = 30,
        poll_timeout: float = 10,
        retry_wait: float = 1,
    ) -> None:
        """Create a client without a request; `timeout`, `poll_timeout` and `retry_wait` are in seconds.

        Writes and log-ins go through `write_session`, whose connector keeps no connection (`force_close`): a server
        may close a kept one at any moment, also while a write is on its way. Without it they share `session`.
        Clients of one account share a pacer. The timeout, `poll_timeout` where no person waits, starts when the pacer
        has let the request go.
        """
        self._session = session
        self._write_session = write_session or session
        if (fault := address_fault(base_url)) is not None:
            raise IotPortalInputError(fault)
        self._base_url = URL(base_url)
        self._credentials = credentials
        self.pacer = pacer or Pacer()
        self._timeout = timeout
        self._poll_timeout = poll_timeout
        self._retry_wait = retry_wait
        self._token: str | None = None
        self._login_error: IotPortalAuthenticationError | None = None
        self._login_failures = 0
        self._next_login = 0.0
        self._logged_in_at = 0.0
        self._login_lock = asyncio.Lock()

    async def login(self) -> None:
        """Log in and keep the token; also try credentials again that were refused before."""
        self._login_error = None
        with start_in_time():
            await self._renew_token(rejected=self._token)

    async def get_usage(self, iccid: str, known: Usage | None = None) -> Usage:
        """Return the usage of a SIM since the start of its billing cycle; the known one if the answer is the same."""
        answer = await self._read("ctdUsage", iccid)
        if known and answer in (known.raw, [known.raw]):
            return known
        return Usage.from_answer(object_about(answer, iccid), is_empty=is_empty_list(answer))

    async def get_device(self, iccid: str) -> Device:
        """Return what the portal knows about a SIM."""
        return Device.from_answer(object_about(await self._read("GetDevice", iccid), iccid))

    async def get_session(self, iccid: str, known: Session | None = None) -> Session:
        """Return the current or most recent data session of a SIM; the known one if the answer is the same."""
        answer = await self._read("sessionInfo", iccid)
        # What cannot be read now may be once its time has come.
        if known and answer == known.raw and not known.is_unreadable:
            return known
        return Session.from_answer(object_about(answer, iccid))

    async def get_status(self, iccid: str) -> str | None:
        """Return the status of a SIM."""
        answer = await self._read("getStatus", iccid, types=(object,))
        # A word names no SIM, an object may name another one.
        object_about(answer, iccid)
        word = status_word(answer)
        if word is None and answer and isinstance(answer, str):
            raise unreadable_answer()
        return word

    async def get_sms(self, identifier: str, iccid: str | None = None) -> Sms:
        """Return an SMS and its status; with an ICCID only one to or from that SIM."""
        answer = await self._read("GetSMS", identifier, types=(Mapping, list, NoneType))
        sms = Sms.from_answer(sms_about(answer, identifier))
        if not sms:
            raise IotPortalNotFoundError(Reason.SMS_UNKNOWN, status=200)
        if iccid is not None:
            object_about(sms.raw, iccid)
        return sms

    async def get_sms_list(self, iccid: str) -> SmsList:
        """Return the ids of the SMS of a SIM, and whether these are all."""
        answer = await self._read("GetSMSIds", iccid)
        return SmsList(ids=sms_ids(answer), is_complete=is_last_page(answer))

    async def send_sms(self, iccid: str, message: str) -> str | None:
        """Send an SMS to a SIM and return its id, or None where the portal returns none."""
        answer = await self._write(
            {"messageText": message}, "SendSMS", iccid, SMS_API_VERSION, iccids=[iccid]
        )
        return sms_id(answer)

    async def request_status_change(self, iccid: str, status: str) -> Json:
        """Request another status of a SIM and return the answer."""
        return await self._write({"status": status}, "RequestStatusChange", iccid, iccids=[iccid])

    async def edit_device(self, iccid: str, changes: Mapping[str, Json]) -> Json:
        """Change fields of a SIM and return the answer."""
        return await self._write(changes, "EditDevice", iccid, iccids=[iccid])

    async def bulk_edit_devices(
        self,
        iccids: Sequence[str],
        changes: Mapping[str, Json],
        *,
        queue_id: str | None = None,
        webhook_url: str | None = None,
    ) -> Json:
        """Queue one change of many SIMs and return the answer."""
        body: dict[str, Json] = {"update": changes, "iccids": list(iccids)}
        if queue_id is not None:
            body["queueId"] = queue_id
        if webhook_url is not None:
            body["webhookUrl"] = webhook_url
        return await self._write(body, "BulkEditDevice", iccids=iccids)

    async def update_rule(self, rule: Mapping[str, Json]) -> Json:
        """Send a rule update as it is and return the answer."""
        return await self._write(rule, "RuleUpdate")

    async def _read(self, *path: str, types: tuple[type, ...] = (Mapping, list)) -> Json:
        """Send a read and return the answer, if it has one of the types; repeat it after a transient error."""
        attempt = 1
        with start_in_time():
            while True:
                try:
                    answer = await self._request("GET", path)
                except IotPortalError as err:
                    if attempt >= READ_ATTEMPTS or not _is_transient(err):
                        err.attempts = attempt
                        raise
                else:
                    if not isinstance(answer, types):
                        raise unreadable_answer()
                    return answer
                await asyncio.sleep(self._retry_wait * attempt * uniform(0.5, 1.5))  # noqa: S311
                attempt += 1

    async def _write(
        self, body: Mapping[str, Json], *path: str, iccids: Sequence[str] | None = None
    ) -> Json:
        """Send a write, once, and return the answer, which must not be about other SIMs than those."""
        with start_in_time():
            answer = await self._request("PUT", path, body)
        if iccids is not None and is_about_others(answer, iccids):
            raise IotPortalOutcomeUnknownError(Reason.ANOTHER_SIM)
        return answer

    async def _request(
        self, method: str, path: Sequence[str], body: Mapping[str, Json] | None = None
    ) -> Json:
        """Send a request with a token; log in again once when the token may be the reason for an error."""
        token = self._token or await self._renew_token(rejected=None)
        try:
            return await self._exchange(method, path, body, token)
        except IotPortalAuthenticationError:
            # A rejected request was not carried out, so the next one is no second write.
            token = await self._renew_token(rejected=token)
        except IotPortalResponseError as err:
            # Portals say in many ways that a token has expired. A write must not be repeated for a guess.
            if method != "GET" or not _is_vague(err) or not self._is_token_old:
                raise
            token = await self._renew_token(rejected=token)
        try:
            return await self._exchange(method, path, body, token)
        except IotPortalAuthenticationError as err:
            # The log-in has just succeeded, so the credentials are not to blame.
            raise IotPortalLoginError(
                err.message, status=err.status, code=err.code, evidence=err.evidence
            ) from err

    async def _renew_token(self, rejected: str | None) -> str:
        """Return a new token, or the one that replaced the rejected token in the meantime.

        Repeated attempts may lock the account: credentials that the portal itself refused are not sent again, and
        those that something else refused only after growing intervals.
        """
        async with self.pacer.bounded_wait():
            await self._login_lock.acquire()
        try:
            if (error := self._login_error) is not None and not self._may_log_in(error):
                raise IotPortalAuthenticationError(
                    error.message, status=error.status, code=error.code, evidence=error.evidence
                )
            if self._token is None or self._token == rejected:
                self._token = None
                try:
                    self._token = await self._request_token()
                except IotPortalAuthenticationError as err:
                    self._record_refused_login(err)
                    raise
                self._login_failures = 0
                self._logged_in_at = asyncio.get_running_loop().time()
            return self._token
        finally:
            self._login_lock.release()

    @property
    def _is_token_old(self) -> bool:
        """Return whether the token may have expired."""
        return asyncio.get_running_loop().time() - self._logged_in_at >= MIN_TOKEN_LIFE

    def _may_log_in(self, error: IotPortalAuthenticationError) -> bool:
        """Return whether to send the credentials again after they were refused."""
        return not error.is_strong and asyncio.get_running_loop().time() >= self._next_login

    def _record_refused_login(self, error: IotPortalAuthenticationError) -> None:
        """Keep the refusal, and schedule the next attempt."""
        self._login_error = error
        wait = min(FIRST_LOGIN_WAIT << self._login_failures, MAX_LOGIN_WAIT)
        self._login_failures += 1
        self._next_login = asyncio.get_running_loop().time() + wait

    async def _request_token(self) -> str:
        """Log in and return the token."""
        try:
            answer = await self._exchange("POST", ("Login",), self._credentials.as_login())
        except IotPortalAuthenticationError, IotPortalRateLimitError:
            raise
        except IotPortalResponseError as err:
            is_page = err.evidence is Evidence.PAGE
            if err.code is None and err.status in _LOGIN_REFUSED_STATUSES and not is_page:
                raise IotPortalAuthenticationError(err.message, status=err.status) from err
            if err.status in _TRANSIENT_STATUSES:
                raise
            # An error of the log-in must not be taken for one of the SIM.
            raise IotPortalLoginError(
                err.message, status=err.status, code=err.code, evidence=err.evidence
            ) from err
        token = login_token(answer)
        if token is None and isinstance(answer, Mapping):
            raise IotPortalAuthenticationError(Reason.LOGIN_INCOMPLETE, status=200)
        if token is None:
            raise unreadable_answer()
        return token

    async def _exchange(
        self,
        method: str,
        path: Sequence[str],
        body: Mapping[str, Json] | None = None,
        token: str | None = None,
    ) -> Json:
        """Send one request and return the answer, or raise the error that it means."""
        try:
            response = await self._send(method, path, body, token)
        except IotPortalConnectionError as err:
            if method == "PUT" and err.may_have_arrived:
                raise IotPortalOutcomeUnknownError(err.cause or str(err)) from err
            raise
        if not response.is_error:
            return response.answer
        error = response.as_error(secrets=(*self._credentials.secrets, self._token, token))
        if isinstance(error, IotPortalRateLimitError):
            self.pacer.back_off(error.retry_after, _pause_reason(error))
        if method == "PUT" and not response.is_refusal:
            if isinstance(error, IotPortalAuthenticationError) and token == self._token:
                self._token = None
            raise IotPortalOutcomeUnknownError(error.message) from error
        raise error

    async def _send(
        self,
        method: str,
        path: Sequence[str],
        body: Mapping[str, Json] | None = None,
        token: str | None = None,
    ) -> Response:
        """Send one request when the pacer allows it, and return the response."""
        url = self._url(path)
        headers = {} if token is None else {"Authorization": token}
        content = None
        if body is not None:
            content = Body(self._content(body))
            headers["Content-Type"] = "application/json"
        session = self._session if method == "GET" else self._write_session
        async with self.pacer.slot():
            try:
                async with session.request(
                    method,
                    url,
                    data=content,
                    headers=headers,
                    timeout=self._client_timeout(is_login=token is None),
                    allow_redirects=False,
                    middlewares=(send_once,),
                ) as response:
                    return await Response.read(response)
            except IotPortalError:
                raise
            except asyncio.CancelledError as err:
                if method == "PUT" and may_have_arrived(content):
                    raise IotPortalCancelledError(*err.args) from err
                raise
            except Exception as err:
                raise connection_error(err, content) from err

    def _client_timeout(self, *, is_login: bool) -> ClientTimeout:
        """Return the timeout of a request that starts now; a log-in ends in time for the request that needs it."""
        seconds = self._timeout if is_for_person() else self._poll_timeout
        if is_login and (left := seconds_to_start()) is not None:
            seconds = min(seconds, max(left, MIN_LOGIN_TIMEOUT))
        # The shorter limit for connecting tells a write that was never sent from one without an answer.
        return ClientTimeout(total=seconds, connect=seconds / 2)

    def _url(self, path: Sequence[str]) -> URL:
        """Return the URL of a request; refuse parts that could change its path."""
        for part in path:
            if not _IDENTIFIER.fullmatch(part):
                identifier = {"identifier": repr(part[:MAX_MESSAGE_LENGTH])}
                raise IotPortalInputError(Cause(Reason.IDENTIFIER_INVALID, identifier))
        return self._base_url.joinpath(*path)

    def _content(self, body: Mapping[str, Json]) -> bytes:
        """Return the body of a request, encoded as JSON."""
        try:
            return self._session.json_serialize(body).encode()
        except (TypeError, ValueError, RecursionError) as err:
            raise IotPortalInputError(Cause(Reason.NOT_JSON, {"problem": str(err)})) from err


def _is_vague(err: IotPortalResponseError) -> bool:
    """Return whether an error may mean that the token has expired; one of the server only if it says so."""
    is_server_error = err.status >= 500  # noqa: PLR2004
    may_be = not is_server_error or bool(_ABOUT_TOKEN.search(str(err)))
    return type(err) is IotPortalResponseError and may_be


def _is_transient(err: IotPortalError) -> bool:
    """Return whether a read may succeed when it is repeated at once; after a timeout it would only take a place."""
    if isinstance(err, IotPortalTimeoutError):
        return False
    return isinstance(err, IotPortalConnectionError) or (
        type(err) is IotPortalResponseError and err.status in _TRANSIENT_STATUSES
    )


def _pause_reason(err: IotPortalRateLimitError) -> PauseReason:
    """Return why the portal asks for a pause."""
    is_unavailable = err.status == 503  # noqa: PLR2004
    return PauseReason.UNAVAILABLE if is_unavailable else PauseReason.TOO_MANY_REQUESTS
