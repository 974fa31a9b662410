"""Config flow of the IoT Portal integration: accounts, and SIMs below them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
import re
from types import MappingProxyType
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentry,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.const import UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import AbortFlow, section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol
from yarl import URL

from .api import (
    PRODUCTION_URL,
    UAT_URL,
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalConnectionError,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    IotPortalRateLimitError,
    is_private,
)
from .api.pacing import DEFAULT_MAX_CONCURRENT, DEFAULT_RATE, Priority, priority
from .const import (
    CONF_ALLOWANCE,
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_BILLING_DAY,
    CONF_CLIENT_ID,
    CONF_DATA_UNIT,
    CONF_ENVIRONMENT,
    CONF_ICCID,
    CONF_ICCIDS,
    CONF_MAX_CONCURRENT_REQUESTS,
    CONF_POLL_INTERVAL,
    CONF_REQUEST_RATE,
    CONF_SECRET_KEY,
    CONF_WATCH_SMS,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_POLL_INTERVAL,
    DOMAIN,
    POLL_INTERVALS,
    SUBENTRY_TYPE_SIM,
)
from .coordinator import IotPortalConfigEntry
from .portal import async_create_client

ENVIRONMENT_CUSTOM = "custom"
ENVIRONMENTS = {"production": PRODUCTION_URL, "uat": UAT_URL}
SECTION_OTHER = "other"

ICCID_PATTERN = re.compile(r"[0-9]{18,22}")
SEPARATORS = re.compile(r"[\s,;\"']+")
MOST_LISTED: Final = 20
# Home Assistant's dialog listens for the end of a check only once it shows the progress, so one that
# ended at once would leave it waiting for ever.
SHORTEST_PROGRESS: Final = 1.0

_SECRET = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="current-password")
)
ACCOUNT_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_ENVIRONMENT, default="production"): SelectSelector(
            SelectSelectorConfig(
                options=[*ENVIRONMENTS, ENVIRONMENT_CUSTOM],
                mode=SelectSelectorMode.DROPDOWN,
                translation_key=CONF_ENVIRONMENT,
            )
        ),
        vol.Optional(CONF_CLIENT_ID): TextSelector(TextSelectorConfig(autocomplete="username")),
        vol.Optional(CONF_SECRET_KEY): _SECRET,
    }
)
OTHER_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_BASE_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Optional(CONF_API_TOKEN): _SECRET,
    }
)
_BILLING_DAY = NumberSelector(NumberSelectorConfig(min=1, max=31, mode=NumberSelectorMode.BOX))
_DATA_UNIT = SelectSelector(
    SelectSelectorConfig(
        options=list(DATA_UNITS),
        mode=SelectSelectorMode.DROPDOWN,
        translation_key=CONF_DATA_UNIT,
    )
)
OPTIONS_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL): NumberSelector(
            NumberSelectorConfig(
                min=POLL_INTERVALS[0],
                max=POLL_INTERVALS[1],
                mode=NumberSelectorMode.BOX,
                unit_of_measurement=UnitOfTime.MINUTES,
            )
        ),
        vol.Required(CONF_REQUEST_RATE, default=DEFAULT_RATE): NumberSelector(
            NumberSelectorConfig(min=0.5, max=20, step=0.5, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_MAX_CONCURRENT_REQUESTS, default=DEFAULT_MAX_CONCURRENT): NumberSelector(
            NumberSelectorConfig(min=1, max=10, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_BILLING_DAY, default=DEFAULT_BILLING_DAY): _BILLING_DAY,
        vol.Required(CONF_DATA_UNIT, default=DEFAULT_DATA_UNIT): _DATA_UNIT,
        vol.Required(CONF_WATCH_SMS, default=False): BooleanSelector(),
    }
)
SIM_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_ALLOWANCE): NumberSelector(
            NumberSelectorConfig(
                min=1,
                # A petabyte; a number without a limit can be too large to be counted in bytes.
                max=10**9,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement=UnitOfInformation.MEGABYTES,
            )
        ),
        vol.Optional(CONF_BILLING_DAY): _BILLING_DAY,
        vol.Optional(CONF_DATA_UNIT): _DATA_UNIT,
    }
)
_ICCIDS = TextSelector(TextSelectorConfig(multiline=True))
SIMS_SCHEMAS = {
    "user": vol.Schema({vol.Required(CONF_ICCIDS): _ICCIDS}),
    # Emptied to add only what was found.
    "summary": vol.Schema({vol.Optional(CONF_ICCIDS): _ICCIDS}),
}


class IotPortalConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds an account, and asks for its credentials again when they are refused."""

    # What entries and subentries hold; async_migrate_entry takes in what other versions have stored.
    VERSION = 1
    MINOR_VERSION = 1

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: IotPortalConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added below an account."""
        return {SUBENTRY_TYPE_SIM: SimSubentryFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: IotPortalConfigEntry) -> IotPortalOptionsFlow:
        """Return the dialog for how an account is polled."""
        return IotPortalOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for an account and log it in."""
        result, data = await self._ask_for_account("user", user_input, user_input)
        if result is not None:
            return result
        return self.async_create_entry(title=_title(data), data=data)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another address or other credentials of an account."""
        entry = self._get_reconfigure_entry()
        suggested = user_input or _as_form(entry.data)
        result, data = await self._ask_for_account("reconfigure", user_input, suggested)
        if result is not None:
            return result
        return self._reload_with(entry, data)

    async def _ask_for_account(
        self, step_id: str, user_input: dict[str, Any] | None, suggested: dict[str, Any] | None
    ) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Return the form to show, or the data of an account that has logged in."""
        errors: dict[str, str] = {}
        reason = ""
        if user_input is not None:
            data, error = _read_account(user_input)
            if error is None:
                self._abort_if_account_exists(_account_id(data))
                error, reason = await self._try_login(data)
            if error is None:
                await self.async_set_unique_id(_account_id(data))
                return None, data
            errors["base"] = error
        form = self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                _account_schema(suggested or {}), suggested
            ),
            errors=errors,
            description_placeholders={"reason": reason},
        )
        return form, {}

    def _abort_if_account_exists(self, account_id: str) -> None:
        """Refuse an account that another entry has."""
        own = self.context.get("entry_id")
        if any(
            entry.unique_id == account_id and entry.entry_id != own
            for entry in self._async_current_entries()
        ):
            raise AbortFlow(reason="already_configured")

    @callback
    def _reload_with(
        self, entry: IotPortalConfigEntry, data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Keep what an account logs in with, and set it up again.

        Always, and here only: also after a failed set-up, and with unchanged data.
        """
        result = self.async_update_and_abort(entry, unique_id=_account_id(data), data=data)
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Go on to the first SIMs: an account without any shows nothing."""
        sims = await self.hass.config_entries.subentries.async_init(
            (result["result"].entry_id, SUBENTRY_TYPE_SIM),
            context=SubentryFlowContext(source=SOURCE_USER),
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, sims["flow_id"])
        return result

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start over with the credentials."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the secret that was refused."""
        errors: dict[str, str] = {}
        reason = ""
        entry = self._get_reauth_entry()
        secret = CONF_API_TOKEN if CONF_API_TOKEN in entry.data else CONF_SECRET_KEY
        if user_input is not None:
            data = {**entry.data, **user_input}
            error, reason = await self._try_login(data)
            if error is None:
                return self._reload_with(entry, data)
            errors["base"] = error
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=vol.Schema({vol.Required(secret): _SECRET}),
            errors=errors,
            description_placeholders={"reason": reason, "portal": entry.data[CONF_BASE_URL]},
        )

    async def _try_login(self, data: Mapping[str, Any]) -> tuple[str | None, str]:
        """Log in at the portal; return the key of an error and the portal's words for it."""
        try:
            await async_create_client(self.hass, data).login()
        except IotPortalError as err:
            return _error_key(err), str(err)
        return None, ""


class IotPortalOptionsFlow(OptionsFlow):
    """Asks how an account is polled, and what its SIMs have in common."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for everything at once; the update listener reloads the account."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                OPTIONS_SCHEMA, self.config_entry.options
            ),
        )


class SimSubentryFlow(ConfigSubentryFlow):
    """Adds SIMs to an account, and asks what the user knows better of one."""

    _check: asyncio.Task[str]

    def __init__(self) -> None:
        """Start with an empty form; whatever a form shows is kept, so it can be shown at any time."""
        self._form = "user"
        self._typed = ""
        self._error = ""
        self._failure = {"iccid": "", "reason": ""}
        self._titles: dict[str, str] = {}
        # What the checks so far were about: what needs no correction, and what does.
        self._settled: list[str] = []
        self._wrong: list[str] = []

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for ICCIDs."""
        if user_input is not None:
            return await self._submit(user_input)
        if not self._typed and self._get_entry().state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        return self._show_form()

    async def async_step_summary(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Tell what was found, and ask for the rest to be corrected or left out."""
        if user_input is not None:
            return await self._submit(user_input)
        return self._show_form()

    async def async_step_check(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show how far the check is."""
        if self._check.done():
            return self.async_show_progress_done(next_step_id=self._check.result())
        return self.async_show_progress(
            step_id="check", progress_action="check", progress_task=self._check
        )

    async def async_step_checked(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Add the SIMs when all that was typed can be added, or else tell what cannot."""
        typed = _split(self._typed)
        present = _iccids_present(self.hass)
        self._wrong = [i for i in typed if i not in present and i not in self._titles]
        settled = [iccid for iccid in typed if iccid not in self._wrong]
        self._settled = list(dict.fromkeys(self._settled + settled))
        ready = self._ready(present)
        if ready and set(typed).issubset(ready):
            return self._add(ready)
        if typed:
            self._form = "summary"
        else:
            self._error = "nothing_to_add"
        self._typed = "\n".join(self._wrong)
        return self._show_form()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for allowance, billing day and unit of a SIM; what is left empty follows the account."""
        subentry = self._get_reconfigure_subentry()
        if user_input is not None:
            return self.async_update_and_abort(
                self._get_entry(),
                subentry,
                data={CONF_ICCID: subentry.data[CONF_ICCID], **user_input},
            )
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(SIM_SCHEMA, subentry.data),
            description_placeholders={"sim": subentry.title},
        )

    async def _submit(self, user_input: dict[str, Any]) -> SubentryFlowResult:
        """Take in what was typed, and start to look up what is new."""
        self._typed = user_input.get(CONF_ICCIDS, "")
        self._error = ""
        present = _iccids_present(self.hass)
        unknown = [
            iccid
            for iccid in _split(self._typed)
            if ICCID_PATTERN.fullmatch(iccid) and iccid not in present and iccid not in self._titles
        ]
        if not unknown:
            return await self.async_step_checked()
        entry: IotPortalConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            self._error = "entry_not_loaded"
            return self._show_form()
        self._check = self.hass.async_create_task(
            self._look_up_visibly(entry, unknown), f"{DOMAIN} check of {len(unknown)} SIMs"
        )
        return await self.async_step_check()

    def _show_form(self) -> SubentryFlowResult:
        """Show the current form, with all that was typed."""
        present = _iccids_present(self.hass)
        return self.async_show_form(
            step_id=self._form,
            data_schema=self.add_suggested_values_to_schema(
                SIMS_SCHEMAS[self._form], {CONF_ICCIDS: self._typed}
            ),
            errors={"base": self._error} if self._error else {},
            description_placeholders={
                **self._failure,
                "ready": str(len(self._ready(present))),
                "present": _listed([i for i in self._settled if i in present]),
                "not_found": _listed([i for i in self._wrong if ICCID_PATTERN.fullmatch(i)]),
                "malformed": _listed([i for i in self._wrong if not ICCID_PATTERN.fullmatch(i)]),
            },
        )

    def _ready(self, present: set[str | None]) -> list[str]:
        """Return what was found and is not there; somebody else may add SIMs at any time."""
        return [i for i in self._settled if i in self._titles and i not in present]

    async def _look_up_visibly(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look SIMs up, but not faster than can be shown; return the step that follows."""
        next_step, _ = await asyncio.gather(
            self._look_up_all(entry, iccids), asyncio.sleep(SHORTEST_PROGRESS)
        )
        return next_step

    async def _look_up_all(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look SIMs up at once, at the pace of the client; return the step that follows."""
        looked_up = count(1)

        async def look_up(iccid: str) -> None:
            await self._look_up(entry, iccid)
            self.async_update_progress(next(looked_up) / len(iccids))

        # Ahead of all polling, but nobody who sends an SMS meanwhile waits for hundreds of these.
        with suppress(IotPortalError), priority(Priority.CONFIRMATION):
            async with asyncio.TaskGroup() as group:
                for iccid in iccids:
                    group.create_task(look_up(iccid))
        return self._form if self._error else "checked"

    async def _look_up(self, entry: IotPortalConfigEntry, iccid: str) -> None:
        """Look a SIM up and remember it when it was found, or what went wrong."""
        try:
            title = await _find_sim(entry.runtime_data.account.client, iccid)
        except IotPortalError as err:
            self._error = _error_key(err)
            self._failure = {"iccid": iccid, "reason": str(err)}
            if isinstance(err, IotPortalAuthenticationError):
                entry.async_start_reauth(self.hass)
            raise
        if title is not None:
            self._titles[iccid] = title

    def _add(self, iccids: list[str]) -> SubentryFlowResult:
        """Add the SIMs: the flow itself can create one, the others are added beside it."""
        first, *others = iccids
        for iccid in others:
            self.hass.config_entries.async_add_subentry(
                self._get_entry(),
                ConfigSubentry(
                    data=MappingProxyType({CONF_ICCID: iccid}),
                    subentry_type=SUBENTRY_TYPE_SIM,
                    title=self._titles[iccid],
                    unique_id=iccid,
                ),
            )
        return self.async_create_entry(
            title=self._titles[first],
            data={CONF_ICCID: first},
            unique_id=first,
            description="added",
            description_placeholders={"count": str(len(iccids))},
        )


def _read_account(user_input: dict[str, Any]) -> tuple[dict[str, str], str | None]:
    """Return what the entry is to keep, or the key of what is wrong with the input."""
    given = {
        key: value.strip()
        for key, value in {**user_input, **user_input[SECTION_OTHER]}.items()
        if isinstance(value, str) and value.strip()
    }
    environment = given[CONF_ENVIRONMENT]
    base_url = _base_url(ENVIRONMENTS.get(environment) or given.get(CONF_BASE_URL, ""))
    if base_url is None:
        return {}, "base_url_invalid"
    if not is_private(URL(base_url)):
        return {}, "base_url_not_encrypted"
    account = {key: given[key] for key in (CONF_CLIENT_ID, CONF_SECRET_KEY) if key in given}
    if CONF_API_TOKEN in given:
        if account:
            return {}, "credentials_ambiguous"
        return {CONF_BASE_URL: base_url, CONF_API_TOKEN: given[CONF_API_TOKEN]}, None
    if len(account) < 2:  # noqa: PLR2004
        return {}, "credentials_incomplete"
    return {CONF_BASE_URL: base_url, **account}, None


def _account_schema(suggested: Mapping[str, Any]) -> vol.Schema:
    """Return the form for an account; its section for rare cases is open where it is needed."""
    is_needed = suggested.get(CONF_ENVIRONMENT) == ENVIRONMENT_CUSTOM or suggested.get(
        SECTION_OTHER
    )
    return ACCOUNT_SCHEMA.extend(
        {vol.Required(SECTION_OTHER): section(OTHER_SCHEMA, {"collapsed": not is_needed})}
    )


def _as_form(data: Mapping[str, str]) -> dict[str, Any]:
    """Return what an entry keeps as the form asks for it, without the secrets."""
    base_url = data[CONF_BASE_URL]
    known = {url: name for name, url in ENVIRONMENTS.items()}
    return {
        CONF_ENVIRONMENT: known.get(base_url, ENVIRONMENT_CUSTOM),
        CONF_CLIENT_ID: data.get(CONF_CLIENT_ID),
        SECTION_OTHER: ({} if base_url in known else {CONF_BASE_URL: base_url})
        | ({CONF_API_TOKEN: ""} if CONF_API_TOKEN in data else {}),
    }


def _title(data: Mapping[str, str]) -> str:
    """Return the name of an account."""
    return data.get(CONF_CLIENT_ID, "IoT Portal")


def _base_url(text: str) -> str | None:
    """Return the address of a portal in one spelling, or None for what is no address."""
    try:
        url = URL(text)
        # As it is looked up; yarl lets a name of dots alone through.
        (url.host or "").encode("idna")
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query or url.fragment:
        return None
    return str(url).rstrip("/")


def _account_id(data: Mapping[str, str]) -> str:
    """Return what tells accounts apart; of an API token only its fingerprint."""
    account = data.get(CONF_CLIENT_ID) or sha256(data[CONF_API_TOKEN].encode()).hexdigest()[:16]
    return f"{account}@{data[CONF_BASE_URL]}"


def _error_key(err: IotPortalError) -> str:
    """Return the key of the form's words for an error."""
    match err:
        case IotPortalAuthenticationError():
            return "invalid_auth"
        case IotPortalConnectionError():
            return "cannot_connect"
        case IotPortalRateLimitError():
            return "rate_limited"
    return "portal_error"


def _split(text: str) -> list[str]:
    """Return what was pasted, each once, however it is separated and quoted."""
    return list(dict.fromkeys(filter(None, SEPARATORS.split(text))))


def _listed(iccids: Sequence[str]) -> str:
    """Return how many there are and which, of many the first ones."""
    if not iccids:
        return "0"
    more = ", …" if len(iccids) > MOST_LISTED else ""
    return f"{len(iccids)} ({', '.join(iccids[:MOST_LISTED])}{more})"


def _iccids_present(hass: HomeAssistant) -> set[str | None]:
    """Return the ICCIDs of the SIMs that are there, below whatever account."""
    return {
        subentry.unique_id
        for account in hass.config_entries.async_entries(DOMAIN)
        for subentry in account.subentries.values()
    }


async def _find_sim(client: IotPortalClient, iccid: str) -> str | None:
    """Return the title for a SIM, or None when the portal does not know it.

    Not every network answers every route, so the next one is asked where one does not help.
    """
    for read in (client.get_device, client.get_usage, client.get_status):
        with suppress(IotPortalNotAvailableError, IotPortalNotFoundError):
            if sim := await read(iccid):
                label = sim.label if isinstance(sim, Device) else None
                return label or f"SIM {iccid}"
    return None
