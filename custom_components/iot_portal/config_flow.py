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
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
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
from .const import (
    CONF_API_TOKEN,
    CONF_BASE_URL,
    CONF_CLIENT_ID,
    CONF_ENVIRONMENT,
    CONF_ICCID,
    CONF_ICCIDS,
    CONF_SECRET_KEY,
    DOMAIN,
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

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for an account and log it in."""
        errors: dict[str, str] = {}
        reason = ""
        if user_input is not None:
            data, error = _read_account(user_input)
            if error is None:
                await self.async_set_unique_id(_account_id(data))
                self._abort_if_unique_id_configured()
                error, reason = await self._try_login(data)
            if error is None:
                return self.async_create_entry(
                    title=data.get(CONF_CLIENT_ID, "IoT Portal"), data=data
                )
            errors["base"] = error
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(ACCOUNT_SCHEMA, user_input),
            errors=errors,
            description_placeholders={"reason": reason},
        )

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
                result = self.async_update_and_abort(entry, unique_id=_account_id(data), data=data)
                # Always, and here only: also after a failed set-up, and with an unchanged secret.
                self.hass.config_entries.async_schedule_reload(entry.entry_id)
                return result
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


class SimSubentryFlow(ConfigSubentryFlow):
    """Adds SIMs to an account."""

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
