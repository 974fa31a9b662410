"""Client of the IoT Portal Core API."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
import json
import math
from random import uniform
import re
import ssl
from typing import Final

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
)
from yarl import URL

from .const import SMS_API_VERSION, ErrorCode
from .exceptions import (
    IotPortalAuthenticationError,
    IotPortalConnectionError,
    IotPortalInputError,
    IotPortalLoginError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalOutcomeUnknownError,
    IotPortalRateLimitError,
    IotPortalResponseError,
    IotPortalTimeoutError,
)
from .models import (
    Credentials,
    Device,
    Json,
    Session,
    Sms,
    Usage,
    error_details,
    login_token,
    sms_id,
    sms_ids,
    status_word,
)
from .pacing import Pacer

# The largest documented answer has under 2 kB; whatever is larger than this is no answer of the portal.
MAX_ANSWER_BYTES: Final = 1024 * 1024
MAX_MESSAGE_LENGTH: Final = 200
SHORTEST_ERROR_CODE: Final = len(ErrorCode.NO_ACTIVE_SESSION)
MAX_RETRY_AFTER: Final = 24 * 60 * 60
READ_ATTEMPTS: Final = 3
MAX_DEPTH: Final = 32
LARGEST_INTEGER: Final = 2**63

_BY_CODE: Final[dict[str, type[IotPortalResponseError]]] = {
    ErrorCode.INVALID_CREDENTIALS: IotPortalAuthenticationError,
    ErrorCode.NO_ACCESS: IotPortalNotAvailableError,
    ErrorCode.NOT_FOUND: IotPortalNotFoundError,
    ErrorCode.NO_ACTIVE_SESSION: IotPortalNotFoundError,
    ErrorCode.RATE_LIMIT: IotPortalRateLimitError,
}
_BY_STATUS: Final[dict[int, type[IotPortalResponseError]]] = {
    401: IotPortalAuthenticationError,
    403: IotPortalNotAvailableError,
    404: IotPortalNotFoundError,
    405: IotPortalNotAvailableError,
    429: IotPortalRateLimitError,
    501: IotPortalNotAvailableError,
    503: IotPortalRateLimitError,
}
_LOGIN_REFUSED_STATUSES: Final = {400, 401, 403, 422}
_GATEWAY_STATUSES: Final = {502, 504}
_TRANSIENT_STATUSES: Final = {500, 502, 504}

# No sign in it can lead to another path or into a header, whoever reads it on the way.
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# What OpenSSL calls the ways in which a certificate can be wrong, in words that say what to do about it.
_CERTIFICATE_ERRORS: Final = {
    9: "is not valid yet; is the clock of this machine right?",
    10: "has expired",
    18: "is self-signed",
    19: "comes from an unknown authority",
    20: "comes from an unknown authority",
    21: "comes from an unknown authority",
    62: "is for another host name",
    64: "is for another address",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reply:
    """An answer of the portal as it came over the wire."""

    status: int
    body: Json
    retry_after: float | None

    def as_error(self, *, secrets: Iterable[str | None]) -> IotPortalResponseError | None:
        """Return the exception that the answer means, or None for a good answer.

        The code decides before the HTTP status does. Secrets that the portal repeats are taken out.
        """
        message, code = error_details(self.body)
        # An error under a good status shows by its code; `{"message": "OK", "code": "0"}` is none.
        if self.status in range(200, 300) and len(code or "") < SHORTEST_ERROR_CODE:
            return None
        message = message or f"HTTP status {self.status}"
        for secret in filter(None, secrets):
            message = message.replace(secret, "***")
        message = message[:MAX_MESSAGE_LENGTH]
        kind = _BY_CODE.get(code or "") or _BY_STATUS.get(self.status, IotPortalResponseError)
        if kind is IotPortalRateLimitError:
            return IotPortalRateLimitError(
                message, status=self.status, code=code, retry_after=self.retry_after
            )
        return kind(message, status=self.status, code=code)


class IotPortalClient:
    """One account of the IoT Portal.

    Every method raises a subclass of IotPortalError and nothing else. Reads are repeated at most twice
    after a transient failure. Writes are sent at most once: when the answer is lost they raise
    IotPortalOutcomeUnknownError.
    """

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        credentials: Credentials,
        *,
        pacer: Pacer | None = None,
        timeout: float = 30,
        retry_wait: float = 1,
    ) -> None:
        """Remember where the portal is; `timeout` and `retry_wait` are in seconds.

        Clients of one account share a pacer. A time-out does not count the wait for one's turn.
        """
        self._session = session
        try:
            self._base_url = URL(base_url)
        except ValueError as err:
            msg = f"{base_url[:MAX_MESSAGE_LENGTH]!r} is no address"
            raise IotPortalInputError(msg) from err
        self._is_private = is_private(self._base_url)
        self._credentials = credentials
        self.pacer = pacer or Pacer()
        # Connecting ends before the whole time is over, so that a write that never left is told apart.
        self._timeout = ClientTimeout(total=timeout, connect=timeout / 2)
        self._retry_wait = retry_wait
        self._token: str | None = None
        self._refusal: IotPortalAuthenticationError | None = None
        self._login_lock = asyncio.Lock()

    async def login(self) -> None:
        """Log in and keep the token for the requests to come; also with credentials that were refused."""
        self._refusal = None
        await self._new_token(refused=self._token)

    async def get_usage(self, iccid: str) -> Usage:
        """Return what a SIM used since its billing cycle began."""
        return Usage.from_answer(await self._read_object("ctdUsage", iccid))

    async def get_device(self, iccid: str) -> Device:
        """Return what the portal knows about a SIM."""
        return Device.from_answer(await self._read_object("GetDevice", iccid))

    async def get_session(self, iccid: str) -> Session:
        """Return the current or most recent data session of a SIM."""
        return Session.from_answer(await self._read_object("sessionInfo", iccid))

    async def get_status(self, iccid: str) -> str | None:
        """Return the status of a SIM."""
        answer = await self._read("getStatus", iccid)
        word = status_word(answer)
        if word is None and isinstance(answer, str) and answer:
            raise _unreadable_answer()
        return word

    async def get_sms(self, identifier: str) -> Sms:
        """Return an SMS and how far it got."""
        return Sms.from_answer(await self._read_object("GetSMS", identifier))

    async def get_sms_ids(self, iccid: str) -> list[str]:
        """Return the ids of the SMS of a SIM, in the portal's order."""
        listed = sms_ids(await self._read_object("GetSMSIds", iccid))
        return [identifier for identifier in listed if _IDENTIFIER.fullmatch(identifier)]

    async def send_sms(self, iccid: str, message: str) -> str | None:
        """Send an SMS to a SIM and return its id, where the portal tells it."""
        identifier = sms_id(
            await self._write({"messageText": message}, "SendSMS", iccid, SMS_API_VERSION)
        )
        # One that cannot be asked for again is none.
        return identifier if identifier and _IDENTIFIER.fullmatch(identifier) else None

    async def request_status_change(self, iccid: str, status: str) -> Json:
        """Ask for another status of a SIM and return what the portal answered."""
        return await self._write({"status": status}, "RequestStatusChange", iccid)

    async def edit_device(self, iccid: str, changes: Mapping[str, Json]) -> Json:
        """Change fields of a SIM and return what the portal answered."""
        return await self._write(changes, "EditDevice", iccid)

    async def bulk_edit_devices(
        self,
        iccids: Sequence[str],
        changes: Mapping[str, Json],
        *,
        queue_id: str | None = None,
        webhook_url: str | None = None,
    ) -> Json:
        """Queue the same change of many SIMs and return what the portal answered."""
        body: dict[str, Json] = {"update": changes, "iccids": list(iccids)}
        if queue_id is not None:
            body["queueId"] = queue_id
        if webhook_url is not None:
            body["webhookUrl"] = webhook_url
        return await self._write(body, "BulkEditDevice")

    async def update_rule(self, rule: Mapping[str, Json]) -> Json:
        """Send a rule update as it is and return what the portal answered."""
        return await self._write(rule, "RuleUpdate")

    async def _read(self, *path: str) -> Json:
        """Ask for something, again after a passing failure."""
        for attempt in range(1, READ_ATTEMPTS):
            try:
                return await self._request("GET", path)
            except IotPortalConnectionError:
                pass
            except IotPortalResponseError as err:
                if type(err) is not IotPortalResponseError or err.status not in _TRANSIENT_STATUSES:
                    raise
            await asyncio.sleep(self._retry_wait * attempt * uniform(0.5, 1.5))  # noqa: S311
        return await self._request("GET", path)

    async def _read_object(self, *path: str) -> Json:
        """Ask for something that is an object or a list, in one of the portal's wrappings."""
        answer = await self._read(*path)
        if not isinstance(answer, Mapping | list):
            raise _unreadable_answer()
        return answer

    async def _write(self, body: Mapping[str, Json], *path: str) -> Json:
        """Change something, once."""
        return await self._request("PUT", path, body)

    async def _request(
        self, method: str, path: Sequence[str], body: Mapping[str, Json] | None = None
    ) -> Json:
        """Ask with a valid token; log in again once when the portal refuses the one we have."""
        token = self._token or await self._new_token(refused=None)
        try:
            return await self._exchange(method, path, body, token)
        except IotPortalAuthenticationError:
            # A refused request was not carried out, so this is no second write.
            token = await self._new_token(refused=token)
        try:
            return await self._exchange(method, path, body, token)
        except IotPortalAuthenticationError as err:
            # The credentials have just been good.
            raise IotPortalLoginError(err.message, status=err.status, code=err.code) from err

    async def _new_token(self, refused: str | None) -> str:
        """Log in, unless somebody else has since the refused token was handed out.

        Credentials that were refused stay so: who tries again and again may be locked out.
        """
        async with self._login_lock:
            if self._refusal is not None:
                raise IotPortalAuthenticationError(
                    self._refusal.message, status=self._refusal.status, code=self._refusal.code
                )
            if self._token is None or self._token == refused:
                self._token = None
                try:
                    self._token = await self._log_in()
                except IotPortalAuthenticationError as err:
                    self._refusal = err
                    raise
            return self._token

    async def _log_in(self) -> str:
        """Trade the credentials for a token."""
        try:
            answer = await self._exchange("POST", ("Login",), self._credentials.as_login())
        except IotPortalAuthenticationError, IotPortalRateLimitError:
            raise
        except IotPortalResponseError as err:
            if err.code is None and err.status in _LOGIN_REFUSED_STATUSES:
                raise IotPortalAuthenticationError(err.message, status=err.status) from err
            if err.status in _TRANSIENT_STATUSES:
                raise
            # What is said of the log-in says nothing of the SIM that is asked about.
            raise IotPortalLoginError(err.message, status=err.status, code=err.code) from err
        token = login_token(answer)
        if token is None and isinstance(answer, Mapping):
            msg = "the log-in was answered without a token"
            raise IotPortalAuthenticationError(msg, status=200)
        if token is None:
            raise _unreadable_answer()
        return token

    async def _exchange(
        self,
        method: str,
        path: Sequence[str],
        body: Mapping[str, Json] | None = None,
        token: str | None = None,
    ) -> Json:
        """Make one request and return what the portal says, or raise what it means."""
        try:
            reply = await self._send(method, path, body, token)
        except IotPortalConnectionError as err:
            if method == "PUT" and err.may_have_arrived:
                raise IotPortalOutcomeUnknownError(str(err)) from err
            raise
        if method == "PUT" and reply.status in _GATEWAY_STATUSES:
            msg = f"HTTP status {reply.status}"
            raise IotPortalOutcomeUnknownError(msg)
        if error := reply.as_error(secrets=(*self._credentials.secrets, self._token, token)):
            if isinstance(error, IotPortalRateLimitError):
                self.pacer.back_off(error.retry_after)
            raise error
        return reply.body

    async def _send(
        self,
        method: str,
        path: Sequence[str],
        body: Mapping[str, Json] | None = None,
        token: str | None = None,
    ) -> _Reply:
        """Put one request on the wire, when it is its turn, and return the reply."""
        url = self._url(path)
        headers = {} if token is None else {"Authorization": token}
        content = None
        if body is not None:
            content = self._content(body)
            headers["Content-Type"] = "application/json"
        try:
            async with (
                self.pacer.slot(),
                self._session.request(
                    method,
                    url,
                    data=content,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    middlewares=(_send_once,),
                ) as response,
            ):
                return _Reply(
                    status=response.status,
                    body=_parse(await _read_body(response)),
                    retry_after=_seconds(response.headers.get("Retry-After")),
                )
        except ConnectionTimeoutError as err:
            msg = "the connection was not made in time"
            raise IotPortalTimeoutError(msg) from err
        except ClientConnectorError as err:
            raise _no_connection(err) from err
        except TimeoutError as err:
            msg = "no answer in time"
            raise IotPortalTimeoutError(msg, may_have_arrived=True) from err
        except ClientError as err:
            raise _broken_connection(err) from err

    def _url(self, path: Sequence[str]) -> URL:
        """Return the address of a request, which no part of the path leads away from."""
        if not self._is_private:
            msg = "an address with http is for this machine and private networks only"
            raise IotPortalInputError(msg)
        for part in path:
            if not _IDENTIFIER.fullmatch(part):
                msg = f"{part[:MAX_MESSAGE_LENGTH]!r} is no identifier"
                raise IotPortalInputError(msg)
        return self._base_url.joinpath(*path)

    def _content(self, body: Mapping[str, Json]) -> bytes:
        """Return the body of a request as it goes over the wire."""
        try:
            return self._session.json_serialize(body).encode()
        except (TypeError, ValueError, RecursionError) as err:
            msg = f"what is to be sent cannot be written as JSON ({err})"
            raise IotPortalInputError(msg) from err


def is_private(url: URL) -> bool:
    """Tell whether nobody on the way can read what is sent: by encryption, or because the way is short."""
    if url.scheme == "https":
        return True
    host = url.host or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_private or address.is_link_local


async def _send_once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Keep aiohttp from repeating a request by itself.

    It takes PUT for idempotent and sends it again when the connection breaks, which would be a second SMS.
    """
    try:
        return await handler(request)
    except TimeoutError, ClientConnectorError:
        raise
    except ClientConnectionError as err:
        raise _broken_connection(err) from err


def _no_connection(err: ClientConnectorError) -> IotPortalConnectionError:
    """Return what to raise for a connection that could not be made."""
    match err:
        case ClientConnectorCertificateError(
            certificate_error=ssl.SSLCertVerificationError() as why
        ):
            wrong = _CERTIFICATE_ERRORS.get(why.verify_code) or f"is wrong: {why.verify_message}"
            msg = f"the certificate of {err.host} {wrong}"
        case ClientConnectorSSLError():
            msg = f"{err.host} does not answer with an encrypted connection"
        case _:
            msg = f"no connection: {err.strerror or type(err).__name__}"
    return IotPortalConnectionError(msg)


def _broken_connection(err: ClientError) -> IotPortalConnectionError:
    """Return what to raise for a connection that broke after it was made."""
    msg = f"the connection broke: {type(err).__name__}"
    return IotPortalConnectionError(msg, may_have_arrived=True)


def _unreadable_answer() -> IotPortalResponseError:
    """Return what to raise for an answer that is none, under a good HTTP status."""
    msg = "the answer is not one of the portal's; is this its address?"
    return IotPortalResponseError(msg, status=200)


async def _read_body(response: ClientResponse) -> str:
    """Return the body of a response as text, up to a size that no answer of the portal has."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            msg = "the answer is too large to come from the portal"
            raise IotPortalConnectionError(msg, may_have_arrived=True)
    return body.decode(errors="replace")


def _parse(text: str) -> Json:
    """Read a body as JSON, or as the text that it is."""
    try:
        return _plain(json.loads(text), MAX_DEPTH)
    except ValueError, RecursionError:
        return text.strip()


def _plain(value: Json, depth: int) -> Json:
    """Return a value as everybody can write it down again, which JSON leaves open at its edges."""
    if depth == 0:
        msg = "the answer is nested too deeply"
        raise ValueError(msg)
    match value:
        case dict():
            return {_whole(key): _plain(item, depth - 1) for key, item in value.items()}
        case list():
            return [_plain(item, depth - 1) for item in value]
        case str():
            return _whole(value)
        case float() if not math.isfinite(value):
            return None
        case int() if not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            # An id can have so many digits, and must not lose any.
            return str(value)
    return value


def _whole(text: str) -> str:
    """Return a text without halves of surrogate pairs."""
    return text.encode(errors="replace").decode()


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After, given in seconds or as a date, as seconds from now."""
    if header is None:
        return None
    with suppress(ValueError):
        seconds = (
            float(header)
            if header.strip().isdecimal()
            else (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        )
        return min(max(seconds, 0), MAX_RETRY_AFTER)
    return None
