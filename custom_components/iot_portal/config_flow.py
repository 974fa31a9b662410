"""Config flow of the IoT Portal integration: accounts and their options."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, TypedDict, override

from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    FlowType,
    OptionsFlow,
    SubentryFlowContext,
)
from homeassistant.const import CONF_NAME, UnitOfTime
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow, section
from homeassistant.helpers.selector import (
    BooleanSelector,
    DateSelector,
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
from homeassistant.helpers.translation import async_load_integrations
from homeassistant.helpers.typing import UNDEFINED, UndefinedType
import voluptuous as vol
from yarl import URL

from .account_names import async_unique_title, is_unnamed
from .api import PRODUCTION_URL, UAT_URL, IotPortalError, Reason, address_fault
from .api.pacing import DEFAULT_MAX_CONCURRENT, DEFAULT_RATE
from .client_factory import async_create_client
from .const import (
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_BILLING_DAY,
    CONF_CLIENT_ID,
    CONF_CYCLE_DAYS,
    CONF_CYCLE_START,
    CONF_DATA_UNIT,
    CONF_DEFAULT_ALLOWANCE,
    CONF_DEFAULT_TITLE,
    CONF_ENVIRONMENT,
    CONF_MAX_CONCURRENT_REQUESTS,
    CONF_PLAN_UNIT,
    CONF_POLL_INTERVAL,
    CONF_REQUEST_RATE,
    CONF_SECRET_KEY,
    CONF_WATCH_SMS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_PLAN_UNIT,
    DEFAULT_POLL_INTERVAL,
    DOMAIN,
    POLL_INTERVALS,
    SUBENTRY_TYPE_SIM,
)
from .errors import form_error_key, form_error_placeholders
from .models import has_whole_cycle
from .runtime_data import IotPortalConfigEntry
from .sim_flow import (
    ALLOWANCE_SELECTOR,
    BILLING_DAY_SELECTOR,
    CYCLE_DAYS_SELECTOR,
    DATA_UNIT_SELECTOR,
    PLAN_UNIT_SELECTOR,
    SimSubentryFlow,
    kept_details,
    with_all_details,
)

ENVIRONMENT_CUSTOM = "custom"
ENVIRONMENTS = {"production": PRODUCTION_URL, "uat": UAT_URL}
SECTION_ADVANCED = "advanced"
SECTION_OTHER = "other"

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
        vol.Optional(CONF_NAME): TextSelector(),
    }
)
OTHER_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_BASE_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Optional(CONF_API_TOKEN): _SECRET,
    }
)
ADVANCED_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_REQUEST_RATE, default=DEFAULT_RATE): NumberSelector(
            NumberSelectorConfig(min=0.5, max=20, step=0.5, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_MAX_CONCURRENT_REQUESTS, default=DEFAULT_MAX_CONCURRENT): NumberSelector(
            NumberSelectorConfig(min=1, max=10, mode=NumberSelectorMode.BOX)
        ),
    }
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
        vol.Required(CONF_BILLING_DAY, default=DEFAULT_BILLING_DAY): BILLING_DAY_SELECTOR,
        vol.Optional(CONF_CYCLE_DAYS): CYCLE_DAYS_SELECTOR,
        vol.Optional(CONF_CYCLE_START): DateSelector(),
        vol.Optional(CONF_DEFAULT_ALLOWANCE): ALLOWANCE_SELECTOR,
        vol.Required(CONF_DATA_UNIT, default=DEFAULT_DATA_UNIT): DATA_UNIT_SELECTOR,
        vol.Required(CONF_PLAN_UNIT, default=DEFAULT_PLAN_UNIT): PLAN_UNIT_SELECTOR,
        vol.Required(CONF_WATCH_SMS, default=False): BooleanSelector(),
    }
)


class _NamedAccount(TypedDict):
    """The title and the data of the entry of an account."""

    title: str
    data: Mapping[str, Any]


class IotPortalConfigFlow(ConfigFlow, domain=DOMAIN):
    """Adds an account, and asks for its credentials again when they are refused."""

    # The format of entries and subentries, which async_migrate_entry checks.
    VERSION = 1
    MINOR_VERSION = 1

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: IotPortalConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the flow that adds SIMs to an account."""
        return {SUBENTRY_TYPE_SIM: SimSubentryFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: IotPortalConfigEntry) -> IotPortalOptionsFlow:
        """Return the flow for the options of an account."""
        return IotPortalOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for an account, and log in."""
        result, data = await self._ask_for_account("user", user_input, user_input)
        if result is not None:
            return result
        return self.async_create_entry(**self._named(data, user_input))

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another name, another address or other credentials of an account."""
        entry = self._get_reconfigure_entry()
        suggested = user_input or _as_form(entry)
        result, data = await self._ask_for_account("reconfigure", user_input, suggested)
        if result is not None:
            return result
        return self._reload_with(entry, **self._named(data, user_input))

    def _named(
        self, data: Mapping[str, Any], user_input: Mapping[str, Any] | None
    ) -> _NamedAccount:
        """Return the title and the data of an account; one without a name is named when a SIM has been read."""
        name: str = (user_input or {}).get(CONF_NAME, "").strip()
        title = name or async_unique_title(self.hass, entry_id=self.context.get("entry_id"))
        return {"title": title, "data": data if name else {**data, CONF_DEFAULT_TITLE: title}}

    async def _ask_for_account(
        self, step_id: str, user_input: dict[str, Any] | None, suggested: dict[str, Any] | None
    ) -> tuple[ConfigFlowResult | None, dict[str, str]]:
        """Return the form to show, or the data of an account that has logged in."""
        errors: dict[str, str] = {}
        failure: IotPortalError | None = None
        if user_input is not None:
            data, error = _read_account(user_input)
            if error is None:
                self._abort_if_account_exists(_account_id(data))
                failure = await self._try_login(data)
                error = None if failure is None else form_error_key(failure)
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
            description_placeholders=form_error_placeholders(self.hass, failure),
        )
        return form, {}

    def _abort_if_account_exists(self, account_id: str) -> None:
        """Abort if another entry has the account."""
        own = self.context.get("entry_id")
        if any(
            entry.unique_id == account_id and entry.entry_id != own
            for entry in self._async_current_entries()
        ):
            raise AbortFlow(reason="already_configured")

    @callback
    def _reload_with(
        self,
        entry: IotPortalConfigEntry,
        *,
        data: Mapping[str, Any],
        title: str | UndefinedType = UNDEFINED,
    ) -> ConfigFlowResult:
        """Update an account, and reload it.

        The only reload for that: it is needed after a failed set-up and with unchanged data too.
        """
        result = self.async_update_and_abort(
            entry, unique_id=_account_id(data), title=title, data=data
        )
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    @override
    async def async_on_create_entry(self, result: ConfigFlowResult) -> ConfigFlowResult:
        """Continue with adding SIMs: an account without any shows nothing."""
        sims = await self.hass.config_entries.subentries.async_init(
            (result["result"].entry_id, SUBENTRY_TYPE_SIM),
            context=SubentryFlowContext(source=SOURCE_USER),
        )
        result["next_flow"] = (FlowType.CONFIG_SUBENTRIES_FLOW, sims["flow_id"])
        return result

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start reauthentication."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the secret that was refused."""
        errors: dict[str, str] = {}
        failure: IotPortalError | None = None
        entry = self._get_reauth_entry()
        secret = CONF_API_TOKEN if CONF_API_TOKEN in entry.data else CONF_SECRET_KEY
        if user_input is not None:
            data = {**entry.data, **user_input}
            failure = await self._try_login(data)
            if failure is None:
                return self._reload_with(entry, data=data)
            errors["base"] = form_error_key(failure)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=vol.Schema({vol.Required(secret): _SECRET}),
            errors=errors,
            description_placeholders={
                **form_error_placeholders(self.hass, failure),
                "portal": entry.data[CONF_BASE_URL],
            },
        )

    async def _try_login(self, data: Mapping[str, Any]) -> IotPortalError | None:
        """Log in, and return the error if it fails."""
        try:
            await async_create_client(self.hass, data).login()
        except IotPortalError as err:
            # Before the first account nothing has loaded the reasons.
            await async_load_integrations(self.hass, {DOMAIN})
            return err
        return None


class IotPortalOptionsFlow(OptionsFlow):
    """Asks for the options of an account: its polls, and the defaults of its SIMs."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for all options; the update listener applies them."""
        errors: dict[str, str] = {}
        options: Mapping[str, Any] = self.config_entry.options
        if user_input is not None:
            options = {**kept_details(options), **user_input, **user_input[SECTION_ADVANCED]}
            del options[SECTION_ADVANCED]
            if has_whole_cycle(options):
                return self.async_create_entry(data=options)
            errors["base"] = "cycle_incomplete"
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _options_schema(self.config_entry),
                {**options, SECTION_ADVANCED: options},
            ),
            errors=errors,
        )


def _read_account(user_input: dict[str, Any]) -> tuple[dict[str, str], str | None]:
    """Return the data of the entry, or the key of an error in the input."""
    given = {
        key: value.strip()
        for key, value in {**user_input, **user_input[SECTION_OTHER]}.items()
        if isinstance(value, str) and value.strip()
    }
    environment = given[CONF_ENVIRONMENT]
    address = ENVIRONMENTS.get(environment) or given.get(CONF_BASE_URL, "")
    if (error := _address_error(address)) is not None:
        return {}, error
    base_url = str(URL(address)).rstrip("/")
    account = {key: given[key] for key in (CONF_CLIENT_ID, CONF_SECRET_KEY) if key in given}
    if CONF_API_TOKEN in given:
        if account:
            return {}, "credentials_ambiguous"
        return {CONF_BASE_URL: base_url, CONF_API_TOKEN: given[CONF_API_TOKEN]}, None
    if len(account) < 2:  # noqa: PLR2004
        return {}, "credentials_incomplete"
    return {CONF_BASE_URL: base_url, **account}, None


def _address_error(address: str) -> str | None:
    """Return the key of an error in an address."""
    match address_fault(address):
        case Reason.BASE_URL_INVALID:
            return "base_url_invalid"
        case Reason.BASE_URL_NOT_BARE:
            return "base_url_not_bare"
        case Reason.BASE_URL_NOT_ENCRYPTED:
            return "base_url_not_encrypted"
    return None


def _options_schema(entry: ConfigEntry) -> vol.Schema:
    """Return the form for the options of an account."""
    advanced = section(ADVANCED_SCHEMA, {"collapsed": True})
    schema = with_all_details(OPTIONS_SCHEMA, entry)
    return schema.extend({vol.Required(SECTION_ADVANCED): advanced})


def _account_schema(suggested: Mapping[str, Any]) -> vol.Schema:
    """Return the form for an account; the section for rare cases is open where it is needed."""
    is_needed = suggested.get(CONF_ENVIRONMENT) == ENVIRONMENT_CUSTOM or suggested.get(
        SECTION_OTHER
    )
    return ACCOUNT_SCHEMA.extend(
        {vol.Required(SECTION_OTHER): section(OTHER_SCHEMA, {"collapsed": not is_needed})}
    )


def _as_form(entry: IotPortalConfigEntry) -> dict[str, Any]:
    """Return an entry as input of the form, without the secrets."""
    data = entry.data
    base_url = data[CONF_BASE_URL]
    known = {url: name for name, url in ENVIRONMENTS.items()}
    return {
        CONF_ENVIRONMENT: known.get(base_url, ENVIRONMENT_CUSTOM),
        CONF_CLIENT_ID: data.get(CONF_CLIENT_ID),
        CONF_NAME: None if is_unnamed(entry) else entry.title,
        SECTION_OTHER: ({} if base_url in known else {CONF_BASE_URL: base_url})
        | ({CONF_API_TOKEN: ""} if CONF_API_TOKEN in data else {}),
    }


def _account_id(data: Mapping[str, str]) -> str:
    """Return the unique id of an account, with a fingerprint in place of an API token."""
    account = data.get(CONF_CLIENT_ID) or sha256(data[CONF_API_TOKEN].encode()).hexdigest()[:16]
    return f"{account}@{data[CONF_BASE_URL]}"
