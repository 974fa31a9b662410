"""Config flow of the IoT Portal integration: accounts, and SIMs below them."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
import re
from types import MappingProxyType
from typing import Any, override

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
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow, section
from homeassistant.helpers.selector import (
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
)
from .api.pacing import DEFAULT_RATE, DEFAULT_WIDTH
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
    CONF_POLL_INTERVAL,
    CONF_REQUEST_RATE,
    CONF_REQUEST_WIDTH,
    CONF_SECRET_KEY,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_POLL_INTERVAL,
    DOMAIN,
    POLL_INTERVALS,
    SUBENTRY_TYPE_SIM,
)
from .coordinator import IotPortalConfigEntry, async_create_client

ENVIRONMENT_CUSTOM = "custom"
ENVIRONMENTS = {"production": PRODUCTION_URL, "uat": UAT_URL}
SECTION_OTHER = "other"

ICCID_PATTERN = re.compile(r"[0-9]{18,22}")

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
        vol.Required(SECTION_OTHER): section(
            vol.Schema(
                {
                    vol.Optional(CONF_BASE_URL): TextSelector(
                        TextSelectorConfig(type=TextSelectorType.URL)
                    ),
                    vol.Optional(CONF_API_TOKEN): _SECRET,
                }
            ),
            {"collapsed": True},
        ),
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
        vol.Required(CONF_REQUEST_WIDTH, default=DEFAULT_WIDTH): NumberSelector(
            NumberSelectorConfig(min=1, max=10, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_BILLING_DAY, default=DEFAULT_BILLING_DAY): _BILLING_DAY,
        vol.Required(CONF_DATA_UNIT, default=DEFAULT_DATA_UNIT): _DATA_UNIT,
    }
)
SIM_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_ALLOWANCE): NumberSelector(
            NumberSelectorConfig(
                min=1,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement=UnitOfInformation.MEGABYTES,
            )
        ),
        vol.Optional(CONF_BILLING_DAY): _BILLING_DAY,
        vol.Optional(CONF_DATA_UNIT): _DATA_UNIT,
    }
)
SIMS_SCHEMA = vol.Schema(
    {vol.Required(CONF_ICCIDS): TextSelector(TextSelectorConfig(multiline=True))}
)


class IotPortalConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds an account, and asks for its credentials again when they are refused."""

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
            data_schema=self.add_suggested_values_to_schema(ACCOUNT_SCHEMA, suggested),
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

    def __init__(self) -> None:
        """Start without any SIM that was found."""
        self._titles: dict[str, str] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for ICCIDs, look them up at the portal and add them all, or say which are wrong."""
        entry: IotPortalConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        errors: dict[str, str] = {}
        placeholders = {"iccids": "", "reason": ""}
        if user_input is not None:
            iccids = list(dict.fromkeys(re.split(r"[\s,;]+", user_input[CONF_ICCIDS].strip())))
            error, wrong, placeholders["reason"] = await self._check(entry, iccids)
            if error is None:
                return self._add(entry, iccids)
            errors[CONF_ICCIDS] = error
            placeholders["iccids"] = ", ".join(wrong)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(SIMS_SCHEMA, user_input),
            errors=errors,
            description_placeholders=placeholders,
        )

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

    async def _check(
        self, entry: IotPortalConfigEntry, iccids: list[str]
    ) -> tuple[str | None, list[str], str]:
        """Return the key of an error, the ICCIDs that have it, and the portal's words for it.

        What the portal has found once is not asked for again when the user corrects the others.
        """
        if malformed := [iccid for iccid in iccids if not ICCID_PATTERN.fullmatch(iccid)]:
            return "iccid_malformed", malformed, ""
        known = {
            subentry.unique_id
            for account in self.hass.config_entries.async_entries(DOMAIN)
            for subentry in account.subentries.values()
        }
        if duplicates := [iccid for iccid in iccids if iccid in known]:
            return "iccid_already_added", duplicates, ""
        missing = []
        for iccid in iccids:
            if iccid in self._titles:
                continue
            try:
                title = await _find_sim(entry.runtime_data.client, iccid)
            except IotPortalError as err:
                return _error_key(err), [iccid], str(err)
            if title is None:
                missing.append(iccid)
            else:
                self._titles[iccid] = title
        return ("iccid_not_found", missing, "") if missing else (None, [], "")

    def _add(self, entry: IotPortalConfigEntry, iccids: list[str]) -> SubentryFlowResult:
        """Add the SIMs: the flow itself can create one, the others are added beside it."""
        first, *others = iccids
        for iccid in others:
            self.hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType({CONF_ICCID: iccid}),
                    subentry_type=SUBENTRY_TYPE_SIM,
                    title=self._titles[iccid],
                    unique_id=iccid,
                ),
            )
        return self.async_create_entry(
            title=self._titles[first], data={CONF_ICCID: first}, unique_id=first
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
    account = {key: given[key] for key in (CONF_CLIENT_ID, CONF_SECRET_KEY) if key in given}
    if CONF_API_TOKEN in given:
        if account:
            return {}, "credentials_ambiguous"
        return {CONF_BASE_URL: base_url, CONF_API_TOKEN: given[CONF_API_TOKEN]}, None
    if len(account) < 2:  # noqa: PLR2004
        return {}, "credentials_incomplete"
    return {CONF_BASE_URL: base_url, **account}, None


def _as_form(data: Mapping[str, str]) -> dict[str, Any]:
    """Return what an entry keeps as the form asks for it, without the secrets."""
    base_url = data[CONF_BASE_URL]
    known = {url: name for name, url in ENVIRONMENTS.items()}
    return {
        CONF_ENVIRONMENT: known.get(base_url, ENVIRONMENT_CUSTOM),
        CONF_CLIENT_ID: data.get(CONF_CLIENT_ID),
        SECTION_OTHER: {} if base_url in known else {CONF_BASE_URL: base_url},
    }


def _title(data: Mapping[str, str]) -> str:
    """Return the name of an account."""
    return data.get(CONF_CLIENT_ID, "IoT Portal")


def _base_url(text: str) -> str | None:
    """Return the address of a portal in one spelling, or None for what is no address."""
    try:
        url = URL(text)
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
