"""Subentry flow of the IoT Portal integration: SIMs and their settings."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
import re
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    DateSelector,
    DeviceFilterSelectorConfig,
    DeviceSelector,
    DeviceSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .api import (
    SHOWN_DIGITS,
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    mask_numbers,
    normalize_iccid,
    shorten,
    spellings,
)
from .api.pacing import Priority, priority
from .const import (
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_CYCLE_DAYS,
    CONF_CYCLE_START,
    CONF_DATA_UNIT,
    CONF_ICCID,
    CONF_ICCIDS,
    CONF_INSTALLED_IN,
    CONF_PLAN_UNIT,
    DATA_UNITS,
    DOMAIN,
    PLAN_UNITS,
    SUBENTRY_TYPE_SIM,
)
from .errors import form_error_key, form_error_placeholders
from .models import SimData, has_whole_cycle, merge_options
from .reauthentication import async_record_refused_login
from .runtime_data import IotPortalConfigEntry
from .sim_devices import async_get_suitable_device
from .text import as_markdown

# What separates cards, what separates the parts of a line, and what modems print before an ICCID.
LINES = re.compile(r"[\r\n,;]+")
SEPARATORS = re.compile(r"[\s\"']+")
LABEL = re.compile(r"[+^#%]?\b[A-Z]?ICCID\b\s*[:=]?|[+^#%]?\b[A-Z]?CCID\b\s*[:=]?", re.IGNORECASE)
GROUP = re.compile(r"[0-9][0-9A-F]*", re.IGNORECASE)
MAX_LISTED: Final = 20
MAX_LISTED_LENGTH: Final = 40
# The shortest ICCID, and the country-independent digits that each begins with.
MIN_ICCID_LENGTH: Final = 18
ICCID_PREFIX: Final = "89"
# What stays of the shortest ICCID without its issuer.
MAX_TITLE_DIGITS: Final = 11
# Home Assistant's dialog listens for the end of a check only once it shows the progress, so one that
# ended at once would leave it waiting for ever.
MIN_PROGRESS_SECONDS: Final = 1.0
# At the lowest rate that can be set, the last of so many still starts in time.
LOOK_UPS_AT_ONCE: Final = 12

BILLING_DAY_SELECTOR = NumberSelector(
    NumberSelectorConfig(min=1, max=31, mode=NumberSelectorMode.BOX)
)
CYCLE_DAYS_SELECTOR = NumberSelector(
    NumberSelectorConfig(
        min=1, max=366, mode=NumberSelectorMode.BOX, unit_of_measurement=UnitOfTime.DAYS
    )
)
DATA_UNIT_SELECTOR = SelectSelector(
    SelectSelectorConfig(
        options=list(DATA_UNITS),
        mode=SelectSelectorMode.DROPDOWN,
        translation_key=CONF_DATA_UNIT,
    )
)
PLAN_UNIT_SELECTOR = SelectSelector(
    SelectSelectorConfig(
        options=list(PLAN_UNITS),
        mode=SelectSelectorMode.DROPDOWN,
        translation_key=CONF_PLAN_UNIT,
    )
)
SIM_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_ALLOWANCE): NumberSelector(
            NumberSelectorConfig(
                min=1,
                # A petabyte; a number without a limit may be too large to be counted in bytes.
                max=10**9,
                mode=NumberSelectorMode.BOX,
                unit_of_measurement=UnitOfInformation.MEGABYTES,
            )
        ),
        vol.Optional(CONF_BILLING_DAY): BILLING_DAY_SELECTOR,
        vol.Optional(CONF_CYCLE_DAYS): CYCLE_DAYS_SELECTOR,
        vol.Optional(CONF_CYCLE_START): DateSelector(),
        vol.Optional(CONF_DATA_UNIT): DATA_UNIT_SELECTOR,
        vol.Optional(CONF_PLAN_UNIT): PLAN_UNIT_SELECTOR,
    }
)
_ICCIDS = TextSelector(TextSelectorConfig(multiline=True))
SIMS_SCHEMAS = {
    "user": vol.Schema({vol.Required(CONF_ICCIDS): _ICCIDS}),
    # Emptied to add only what was found.
    "summary": vol.Schema({vol.Optional(CONF_ICCIDS): _ICCIDS}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSim:
    """A SIM that the portal knows, with its device where the portal reports one."""

    iccid: str
    device: Device | None = None

    def title(self, others: Iterable[str]) -> str:
        """Return the portal's label, or else a name that no other ICCID fits; it gets into ids, logs and errors."""
        label = self.device.label if self.device is not None else None
        if label and (masked := mask_numbers(label)).strip("…0123456789"):
            return masked
        digits = SHOWN_DIGITS
        while digits < MAX_TITLE_DIGITS and any(
            other.endswith(self.iccid[-digits:]) for other in others if other != self.iccid
        ):
            digits += 1
        return f"SIM {shorten(self.iccid, digits)}"


class SimSubentryFlow(ConfigSubentryFlow):
    """Adds SIMs to an account, and asks for the settings of one."""

    _check: asyncio.Task[str]

    def __init__(self) -> None:
        """Start with an empty form; whatever a form shows is kept, so it can be shown at any time."""
        self._form = "user"
        self._typed = ""
        self._error = ""
        self._failure = {"iccid": "", **form_error_placeholders(None)}
        self._found: dict[str, FoundSim] = {}
        # The ICCIDs of the checks so far: those that need no correction, and those that do.
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
        """Show what was found, and ask for the rest to be corrected or left out."""
        if user_input is not None:
            return await self._submit(user_input)
        return self._show_form()

    async def async_step_check(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the progress of the check."""
        if self._check.done():
            return self.async_show_progress_done(next_step_id=self._check.result())
        return self.async_show_progress(
            step_id="check", progress_action="check", progress_task=self._check
        )

    async def async_step_checked(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Add the SIMs if all that was typed can be added, or else show what cannot."""
        typed = self._iccids()
        present = _iccids_present(self.hass)
        self._wrong = [i for i in typed if i not in present and i not in self._found]
        settled = [iccid for iccid in typed if iccid not in self._wrong]
        self._settled = list(dict.fromkeys(self._settled + settled))
        ready = self._ready(present)
        if ready and set(typed).issubset(ready):
            return self._add([self._found[iccid] for iccid in ready])
        if typed:
            self._form = "summary"
        else:
            self._error = "nothing_to_add"
        self._typed = "\n".join(self._wrong)
        return self._show_form()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the settings of a SIM; an empty field follows the account."""
        subentry = self._get_reconfigure_subentry()
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._errors(user_input)
            if not errors:
                return self.async_update_and_abort(
                    self._get_entry(),
                    subentry,
                    data={CONF_ICCID: subentry.data[CONF_ICCID], **user_input},
                )
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                _sim_schema(self.hass), user_input or self._valid_settings(subentry)
            ),
            errors=errors,
            description_placeholders={"sim": subentry.title},
        )

    def _errors(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the errors in the settings of a SIM."""
        errors = {}
        if not has_whole_cycle(merge_options(self._get_entry().options, settings)):
            errors["base"] = "cycle_incomplete"
        device_id = settings.get(CONF_INSTALLED_IN)
        if device_id is not None and async_get_suitable_device(self.hass, device_id) is None:
            errors[CONF_INSTALLED_IN] = "device_not_suitable"
        return errors

    def _valid_settings(self, subentry: ConfigSubentry) -> dict[str, Any]:
        """Return the settings of a SIM without a device that is gone, of which the form would only show the ID."""
        return {
            key: value
            for key, value in subentry.data.items()
            if key != CONF_INSTALLED_IN or async_get_suitable_device(self.hass, value) is not None
        }

    async def _submit(self, user_input: dict[str, Any]) -> SubentryFlowResult:
        """Keep what was typed, and start to look up the ICCIDs that are new."""
        self._typed = user_input.get(CONF_ICCIDS, "")
        self._error = ""
        present = _iccids_present(self.hass)
        unknown = [
            iccid
            for iccid in self._iccids()
            if normalize_iccid(iccid) and iccid not in present and iccid not in self._found
        ]
        if not unknown:
            return await self.async_step_checked()
        entry: IotPortalConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            self._error = "entry_not_loaded"
            return self._show_form()
        self._check = self.hass.async_create_task(
            self._look_up_with_progress(entry, unknown), f"{DOMAIN} check of {len(unknown)} SIMs"
        )
        return await self.async_step_check()

    def _iccids(self) -> list[str]:
        """Return the ICCIDs that were typed, each card once, in the spelling that is known already."""
        known = {*_iccids_present(self.hass), *self._found}
        cards: dict[str, str] = {}
        for typed in _split(self._typed):
            same = spellings(typed) if normalize_iccid(typed) else {typed}
            iccid = next((cards[i] for i in same if i in cards), None)
            iccid = iccid or next((i for i in (typed, *same) if i in known), typed)
            cards[iccid] = iccid
        return list(cards)

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
                "not_found": _listed([i for i in self._wrong if normalize_iccid(i)]),
                "malformed": _listed([i for i in self._wrong if not normalize_iccid(i)]),
            },
        )

    def _ready(self, present: set[str]) -> list[str]:
        """Return the ICCIDs that were found and are still not present; others may add SIMs at any time."""
        return [i for i in self._settled if i in self._found and present.isdisjoint(spellings(i))]

    async def _look_up_with_progress(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look SIMs up, but not faster than the progress can be shown; return the next step."""
        next_step, _ = await asyncio.gather(
            self._look_up_all(entry, iccids), asyncio.sleep(MIN_PROGRESS_SECONDS)
        )
        return next_step

    async def _look_up_all(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look all SIMs up at the pace of the client; return the next step."""
        looked_up = count(1)
        # A person's request has to start in time, counted from its turn.
        turns = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

        async def look_up(iccid: str) -> None:
            async with turns:
                await self._look_up(entry, iccid)
            self.async_update_progress(next(looked_up) / len(iccids))

        # Ahead of all polls, but an SMS that is sent meanwhile must not wait for hundreds of these.
        with suppress(IotPortalError), priority(Priority.LOOK_UP):
            async with asyncio.TaskGroup() as group:
                for iccid in iccids:
                    group.create_task(look_up(iccid))
        return self._form if self._error else "checked"

    async def _look_up(self, entry: IotPortalConfigEntry, iccid: str) -> None:
        """Look a SIM up, and keep what was found or the error."""
        try:
            found = await _find_sim(entry.runtime_data.account.client, iccid)
        except IotPortalError as err:
            self._error = form_error_key(err)
            self._failure = {"iccid": iccid, **form_error_placeholders(err)}
            if isinstance(err, IotPortalAuthenticationError):
                async_record_refused_login(self.hass, entry, err)
            raise
        if found is not None:
            self._found[iccid] = found

    def _add(self, sims: list[FoundSim]) -> SubentryFlowResult:
        """Add the SIMs: the flow itself can create one, the others are added beside it."""
        entry: IotPortalConfigEntry = self._get_entry()
        _keep_devices(entry, sims)
        iccids = {*_iccids_present(self.hass), *(sim.iccid for sim in sims)}
        first, *others = sims
        for sim in others:
            self.hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType({CONF_ICCID: sim.iccid}),
                    subentry_type=SUBENTRY_TYPE_SIM,
                    title=sim.title(iccids),
                    unique_id=sim.iccid,
                ),
            )
        return self.async_create_entry(
            title=first.title(iccids),
            data={CONF_ICCID: first.iccid},
            unique_id=first.iccid,
            description="added",
            description_placeholders={"count": str(len(sims))},
        )


def _sim_schema(hass: HomeAssistant) -> vol.Schema:
    """Return the form of a SIM, which offers the devices of other integrations."""
    domains = sorted({entry.domain for entry in hass.config_entries.async_entries()} - {DOMAIN})
    others = [DeviceFilterSelectorConfig(integration=domain) for domain in domains]
    selector = DeviceSelector(DeviceSelectorConfig(filter=others))
    return SIM_SCHEMA.extend({vol.Optional(CONF_INSTALLED_IN): selector})


def _keep_devices(entry: IotPortalConfigEntry, sims: list[FoundSim]) -> None:
    """Keep the devices that the portal reported, so that the first poll of a SIM need not read them again."""
    if entry.state is not ConfigEntryState.LOADED:
        return
    for sim in sims:
        if sim.device is not None:
            snapshot = SimData(device=sim.device, device_read_at=dt_util.utcnow())
            entry.runtime_data.account.snapshots.async_keep(sim.iccid, snapshot)


def _split(text: str) -> list[str]:
    """Return the ICCIDs in a text, each once, however they are separated, grouped and quoted."""
    found = [
        iccid
        for line in LINES.split(text)
        for iccid in _join_groups(filter(None, SEPARATORS.split(LABEL.sub(" ", line))))
    ]
    return list(dict.fromkeys(found))


def _join_groups(parts: Iterable[str]) -> Iterator[str]:
    """Yield the ICCIDs of a line, in one spelling; cards print them in groups."""
    groups: list[str] = []
    for part in parts:
        joined = "".join(groups)
        is_group = GROUP.fullmatch(part.replace("-", "")) and not normalize_iccid(part)
        is_next = len(joined) >= MIN_ICCID_LENGTH and part.startswith(ICCID_PREFIX)
        if groups and (not is_group or is_next):
            yield from _joined(groups)
            groups = []
        if is_group:
            groups.append(part)
        else:
            yield normalize_iccid(part) or part
    yield from _joined(groups)


def _joined(groups: list[str]) -> list[str]:
    """Return the ICCID that groups of digits are, or the groups if they are none."""
    iccid = normalize_iccid("".join(groups))
    return groups if iccid is None else [iccid]


def _listed(iccids: Sequence[str]) -> str:
    """Return the number of ICCIDs and the first of them, as markdown."""
    if not iccids:
        return "0"
    more = ", …" if len(iccids) > MAX_LISTED else ""
    listed = ", ".join(as_markdown(iccid, MAX_LISTED_LENGTH) for iccid in iccids[:MAX_LISTED])
    return f"{len(iccids)} ({listed}{more})"


def _iccids_present(hass: HomeAssistant) -> set[str]:
    """Return the ICCIDs of the SIMs of all accounts."""
    return {
        subentry.unique_id
        for account in hass.config_entries.async_entries(DOMAIN)
        for subentry in account.subentries.values()
        if subentry.unique_id is not None
    }


async def _find_sim(client: IotPortalClient, iccid: str) -> FoundSim | None:
    """Return a SIM, or None if the portal does not know it.

    Not every network answers every endpoint, so the next one is asked where one does not help.
    """
    for read in (client.get_device, client.get_usage, client.get_status):
        with suppress(IotPortalNotAvailableError, IotPortalNotFoundError):
            if answer := await read(iccid):
                return FoundSim(iccid=iccid, device=answer if isinstance(answer, Device) else None)
    return None
