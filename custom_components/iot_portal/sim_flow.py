"""Subentry flow of the IoT Portal integration: SIMs and their settings."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from types import MappingProxyType
from typing import Any, Final

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import UnitOfInformation, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    DateSelector,
    DeviceFilterSelectorConfig,
    DeviceSelector,
    DeviceSelectorConfig,
    FileSelector,
    FileSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .account import is_large_fleet
from .api import (
    SHOWN_DIGITS,
    Device,
    IotPortalAuthenticationError,
    IotPortalClient,
    IotPortalError,
    IotPortalNotAvailableError,
    IotPortalNotFoundError,
    mask_numbers,
    one_line,
    shorten,
    spellings,
)
from .api.pacing import Priority, priority
from .const import (
    CONF_ALL_DETAILS,
    CONF_ALLOWANCE,
    CONF_BILLING_DAY,
    CONF_CYCLE_DAYS,
    CONF_CYCLE_START,
    CONF_DATA_UNIT,
    CONF_DEFAULT_ALLOWANCE,
    CONF_FILE,
    CONF_ICCID,
    CONF_ICCIDS,
    CONF_INSTALLED_IN,
    CONF_PLAN_UNIT,
    DATA_UNITS,
    DEFAULT_BILLING_DAY,
    DEFAULT_DATA_UNIT,
    DEFAULT_PLAN_UNIT,
    DOMAIN,
    PLAN_UNITS,
    SUBENTRY_TYPE_SIM,
)
from .errors import NO_ERROR, form_error_key, form_error_placeholders
from .models import SimData, has_whole_cycle, merge_options
from .reauthentication import async_record_refused_login
from .runtime_data import IotPortalConfigEntry
from .sim_devices import async_get_suitable_device
from .sim_list import (
    MAX_FILE_SIZE,
    FileProblem,
    ListedSim,
    Problem,
    SimList,
    decode_file,
    read_sims,
)

MAX_LISTED: Final = 20
MAX_LISTED_LENGTH: Final = 40
# Stands for a value that is not there, in any language.
NOTHING: Final = "—"
# What stays of the shortest ICCID without its issuer.
MAX_TITLE_DIGITS: Final = 11
# Home Assistant's dialog listens for the end of a check only once it shows the progress, so one that
# ended at once would leave it waiting for ever.
MIN_PROGRESS_SECONDS: Final = 1.0
# At the lowest rate that can be set, the last of so many still starts in time.
LOOK_UPS_AT_ONCE: Final = 12

ALLOWANCE_SELECTOR = NumberSelector(
    NumberSelectorConfig(
        min=1,
        # A petabyte; a number without a limit may be too large to be counted in bytes.
        max=10**9,
        mode=NumberSelectorMode.BOX,
        unit_of_measurement=UnitOfInformation.MEGABYTES,
    )
)
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
DETAILS_SCHEMA = vol.Schema({vol.Required(CONF_ALL_DETAILS, default=False): BooleanSelector()})
SIM_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_ALLOWANCE): ALLOWANCE_SELECTOR,
        vol.Optional(CONF_BILLING_DAY): BILLING_DAY_SELECTOR,
        vol.Optional(CONF_CYCLE_DAYS): CYCLE_DAYS_SELECTOR,
        vol.Optional(CONF_CYCLE_START): DateSelector(),
        vol.Optional(CONF_DATA_UNIT): DATA_UNIT_SELECTOR,
        vol.Optional(CONF_PLAN_UNIT): PLAN_UNIT_SELECTOR,
    }
)
_SIMS = TextSelector(TextSelectorConfig(multiline=True))
SIMS_SCHEMAS = {
    "user": vol.Schema(
        {
            vol.Optional(CONF_ICCIDS): _SIMS,
            vol.Optional(CONF_FILE): FileSelector(
                FileSelectorConfig(accept=".csv,.txt,.tsv,text/*")
            ),
        }
    ),
    "summary": vol.Schema({vol.Optional(CONF_ICCIDS): _SIMS}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundSim:
    """A SIM that the portal knows, with its device where the portal reports one."""

    iccid: str
    device: Device | None = None

    def title(self, typed: str, endings: Mapping[str, int]) -> str:
        """Return the name that was typed, or else the portal's label or notes, or else one that no other ICCID fits.

        It gets into ids, logs and errors, so long numbers in it are masked.
        """
        reported = [] if self.device is None else [self.device.label, self.device.notes]
        for name in filter(None, [typed, *reported]):
            masked = mask_numbers(name)
            if masked == typed or masked.strip("…0123456789"):
                return masked
        digits = SHOWN_DIGITS
        while digits < MAX_TITLE_DIGITS and endings[self.iccid[-digits:]] > 1:
            digits += 1
        return f"SIM {shorten(self.iccid, digits)}"


class SimSubentryFlow(ConfigSubentryFlow):
    """Adds SIMs to an account, and asks for the settings of one."""

    _check: asyncio.Task[str]

    def __init__(self) -> None:
        """Start with an empty form; whatever a form shows is kept, so it can be shown at any time."""
        self._form = "user"
        self._text = ""
        self._errors: dict[str, str] = {}
        self._failure = {"iccid": "", **NO_ERROR}
        self._listed = SimList()
        self._files: dict[str, SimList] = {}
        self._found: dict[str, FoundSim] = {}
        # The ICCIDs of all checks so far that were present, which the next form no longer shows.
        self._left_out: list[str] = []

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for SIMs, in a text and in a file."""
        if user_input is not None:
            return await self._submit(user_input)
        if not self._text and self._get_entry().state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        return self._show_form()

    async def async_step_summary(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the SIMs with their names, and what is wrong, to be corrected or left out."""
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
        """Add the SIMs of a summary if all in it can be added, or else show the next summary."""
        ready = self._ready()
        listed = self._listed
        not_found = self._not_found()
        is_summary = self._form == "summary"
        if is_summary and ready and not listed.wrong and len(ready) == len(listed.sims):
            return self._add(ready)
        if not (ready or listed.wrong or not_found) and (is_summary or not listed.sims):
            self._errors["base"] = "nothing_to_add"
        if listed.wrong or not_found:
            self._errors[CONF_ICCIDS] = "entries_wrong"
        if listed.sims or listed.wrong:
            self._form = "summary"
            shown = self._shown(ready)
            self._text = await self.hass.async_add_executor_job(_as_text, shown)
        present = _iccids_present(self.hass)
        left_out = [sim.iccid for sim in listed.sims if sim.iccid in present]
        self._left_out = list(dict.fromkeys(self._left_out + left_out))
        return self._show_form()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the settings of a SIM; beside each field stands what applies while it is empty."""
        subentry = self._get_reconfigure_subentry()
        options = self._get_entry().options
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._settings_errors(user_input)
            if not errors:
                return self.async_update_and_abort(
                    self._get_entry(),
                    subentry,
                    data={
                        CONF_ICCID: subentry.data[CONF_ICCID],
                        **kept_details(subentry.data),
                        **user_input,
                    },
                )
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                with_all_details(_sim_schema(self.hass), self._get_entry()),
                user_input or self._valid_settings(subentry),
            ),
            errors=errors,
            description_placeholders={
                "sim": subentry.title,
                "portal_allowance": self._reported_allowance(subentry) or NOTHING,
                "account_allowance": _shown(options.get(CONF_DEFAULT_ALLOWANCE), " MB"),
                "billing_day": _shown(options.get(CONF_BILLING_DAY, DEFAULT_BILLING_DAY)),
                "cycle_days": _shown(options.get(CONF_CYCLE_DAYS)),
                "cycle_start": options.get(CONF_CYCLE_START) or NOTHING,
                "data_unit": await self._option_text(CONF_DATA_UNIT, DEFAULT_DATA_UNIT),
                "plan_unit": await self._option_text(CONF_PLAN_UNIT, DEFAULT_PLAN_UNIT),
            },
        )

    async def _option_text(self, key: str, default: str) -> str:
        """Return an option of the account as its form shows it.

        In the language of Home Assistant, as that of the user is not known here.
        """
        option = self._get_entry().options.get(key, default)
        texts = await async_get_translations(
            self.hass, self.hass.config.language, "selector", [DOMAIN]
        )
        return texts[f"component.{DOMAIN}.selector.{key}.options.{option}"]

    def _reported_allowance(self, subentry: ConfigSubentry) -> str | None:
        """Return the allowance that the portal reported last, None while it is not known."""
        entry: IotPortalConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return None
        sim = entry.runtime_data.sims.get(subentry.subentry_id)
        device = None if sim is None else sim.data.device
        return None if device is None or device.allowance is None else str(device.allowance)

    def _settings_errors(self, settings: Mapping[str, Any]) -> dict[str, str]:
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
        self._text = user_input.get(CONF_ICCIDS, "")
        self._errors = {}
        await self._read(self._text, user_input.get(CONF_FILE))
        if self._errors:
            return self._show_form()
        present = _iccids_present(self.hass)
        unknown = [
            sim.iccid
            for sim in self._listed.sims
            if sim.iccid not in present and sim.iccid not in self._found
        ]
        if not unknown:
            return await self.async_step_checked()
        entry: IotPortalConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            self._errors["base"] = "entry_not_loaded"
            return self._show_form()
        self._check = self.hass.async_create_task(
            self._look_up_with_progress(entry, unknown), f"{DOMAIN} check of {len(unknown)} SIMs"
        )
        return await self.async_step_check()

    async def _read(self, text: str, file_id: str | None) -> None:
        """Read the SIMs in a text and a file, which joins the text; a browser may name a file again that is gone."""
        listed = await self.hass.async_add_executor_job(read_sims, text)
        if file_id is not None:
            if file_id not in self._files:
                content = await self.hass.async_add_executor_job(_read_file, self.hass, file_id)
                if isinstance(content, FileProblem):
                    self._errors[CONF_FILE] = content
                    return
                self._files[file_id] = await self.hass.async_add_executor_job(read_sims, content)
            listed += self._files[file_id]
            self._text = await self.hass.async_add_executor_job(_as_text, listed)
        self._listed = SimList(self._unique(listed.sims), tuple(dict.fromkeys(listed.wrong)))

    def _unique(self, sims: Iterable[ListedSim]) -> tuple[ListedSim, ...]:
        """Return each card once, in the spelling that is known already, with the first name that it has."""
        known = {*_iccids_present(self.hass), *self._found}
        cards: dict[str, ListedSim] = {}
        # The ICCID under which a card is in the list, by all of its spellings.
        listed: dict[str, str] = {}
        for sim in sims:
            same = spellings(sim.iccid)
            iccid = listed.get(sim.iccid) or next(
                (each for each in (sim.iccid, *same) if each in known), sim.iccid
            )
            listed |= dict.fromkeys([*same, *spellings(iccid)], iccid)
            name = cards[iccid].name if iccid in cards else ""
            cards[iccid] = ListedSim(iccid, name or sim.name)
        return tuple(cards.values())

    def _show_form(self) -> SubentryFlowResult:
        """Show the current form, with all that was typed."""
        present = _iccids_present(self.hass)
        wrong = {
            problem: [line.text for line in self._listed.wrong if line.problem is problem]
            for problem in Problem
        }
        schema = SIMS_SCHEMAS[self._form]
        if self._form == "summary":
            schema = schema.extend(
                {
                    vol.Optional(problem): section(vol.Schema({}))
                    for problem, lines in wrong.items()
                    if lines
                }
            )
        return self.async_show_form(
            step_id=self._form,
            data_schema=self.add_suggested_values_to_schema(schema, {CONF_ICCIDS: self._text}),
            errors=self._errors,
            description_placeholders={
                **self._failure,
                **{problem: _listed(lines) for problem, lines in wrong.items()},
                "ready": str(len(self._ready())),
                "present": _listed([iccid for iccid in self._left_out if iccid in present]),
                "not_found": _listed(self._not_found()),
            },
        )

    def _ready(self) -> list[ListedSim]:
        """Return the SIMs that were found and are still not present; others may add SIMs at any time."""
        present = _iccids_present(self.hass)
        return [
            sim
            for sim in self._listed.sims
            if sim.iccid in self._found and present.isdisjoint(spellings(sim.iccid))
        ]

    def _not_found(self) -> list[str]:
        """Return the ICCIDs that the portal does not know."""
        present = _iccids_present(self.hass)
        return [
            sim.iccid
            for sim in self._listed.sims
            if sim.iccid not in self._found and sim.iccid not in present
        ]

    def _shown(self, ready: list[ListedSim]) -> SimList:
        """Return the SIMs with the names that they will have, and the entries that are to be corrected."""
        titles = self._titles(ready)
        not_found = set(self._not_found())
        return SimList(
            (
                *(ListedSim(sim.iccid, titles[sim.iccid]) for sim in ready),
                *(sim for sim in self._listed.sims if sim.iccid in not_found),
            ),
            self._listed.wrong,
        )

    def _titles(self, sims: list[ListedSim]) -> dict[str, str]:
        """Return the names that SIMs will have, by ICCID."""
        iccids = {*_iccids_present(self.hass), *(sim.iccid for sim in sims)}
        # How many ICCIDs end with the same digits.
        endings = Counter(
            iccid[-digits:] for iccid in iccids for digits in range(SHOWN_DIGITS, MAX_TITLE_DIGITS)
        )
        return {sim.iccid: self._found[sim.iccid].title(sim.name, endings) for sim in sims}

    async def _look_up_with_progress(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look SIMs up, but not faster than the progress can be shown; return the next step."""
        next_step, _ = await asyncio.gather(
            self._look_up_all(entry, iccids), asyncio.sleep(MIN_PROGRESS_SECONDS)
        )
        return next_step

    async def _look_up_all(self, entry: IotPortalConfigEntry, iccids: list[str]) -> str:
        """Look all SIMs up at the pace of the client; return the next step."""
        looked_up = count(1)
        # An account that is unloaded or reloaded in the meantime no longer has it.
        client = entry.runtime_data.account.client
        # A person's request has to start in time, counted from its turn.
        turns = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

        async def look_up(iccid: str) -> None:
            async with turns:
                await self._look_up(entry, client, iccid)
            self.async_update_progress(next(looked_up) / len(iccids))

        # Ahead of all polls, but an SMS that is sent meanwhile must not wait for hundreds of these.
        with suppress(IotPortalError), priority(Priority.LOOK_UP):
            async with asyncio.TaskGroup() as group:
                for iccid in iccids:
                    group.create_task(look_up(iccid))
        return self._form if self._errors else "checked"

    async def _look_up(
        self, entry: IotPortalConfigEntry, client: IotPortalClient, iccid: str
    ) -> None:
        """Look a SIM up, and keep what was found or the error."""
        try:
            found = await _find_sim(client, iccid)
        except IotPortalError as err:
            self._errors["base"] = form_error_key(err)
            self._failure = {"iccid": iccid, **form_error_placeholders(self.hass, err)}
            if isinstance(err, IotPortalAuthenticationError):
                async_record_refused_login(self.hass, entry, err)
            raise
        if found is not None:
            self._found[iccid] = found

    def _add(self, sims: list[ListedSim]) -> SubentryFlowResult:
        """Add the SIMs: the flow itself can create one, the others are added beside it."""
        entry: IotPortalConfigEntry = self._get_entry()
        titles = self._titles(sims)
        _keep_devices(entry, [self._found[sim.iccid] for sim in sims])
        first, *others = titles
        for iccid in others:
            self.hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType({CONF_ICCID: iccid}),
                    subentry_type=SUBENTRY_TYPE_SIM,
                    title=titles[iccid],
                    unique_id=iccid,
                ),
            )
        return self.async_create_entry(
            title=titles[first],
            data={CONF_ICCID: first},
            unique_id=first,
            description="added",
            description_placeholders={"count": str(len(sims))},
        )


def _shown(number: float | None, unit: str = "") -> str:
    """Return a number of the options as the descriptions of fields show it."""
    return NOTHING if number is None else f"{number:.12g}{unit}"


def _read_file(hass: HomeAssistant, file_id: str) -> str | FileProblem:
    """Return the text of a file that was uploaded, which is removed; blocks."""
    try:
        with process_uploaded_file(hass, file_id) as path:
            if path.stat().st_size > MAX_FILE_SIZE:
                return FileProblem.TOO_LARGE
            return decode_file(path.read_bytes())
    except OSError, ValueError:
        return FileProblem.GONE


def _as_text(listed: SimList) -> str:
    """Return a text that is read as the same list."""
    lines = [*(sim.as_line() for sim in listed.sims), *(line.text for line in listed.wrong)]
    return "\n".join(lines)


def with_all_details(schema: vol.Schema, entry: ConfigEntry) -> vol.Schema:
    """Return a form with the choice of all details, which only SIMs of large accounts lack.

    They can be removed only while the account is loaded.
    """
    if not is_large_fleet(entry.subentries) or entry.state is not ConfigEntryState.LOADED:
        return schema
    return schema.extend(DETAILS_SCHEMA.schema)


def kept_details(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choice of all details among options; a form without it must not lose it."""
    return {key: value for key, value in options.items() if key == CONF_ALL_DETAILS}


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


def _listed(entries: Sequence[str]) -> str:
    """Return the number of entries and the first of them; a section shows them as plain text."""
    if not entries:
        return "0"
    more = ", …" if len(entries) > MAX_LISTED else ""
    listed = ", ".join(one_line(entry, MAX_LISTED_LENGTH) for entry in entries[:MAX_LISTED])
    return f"{len(entries)} ({listed}{more})"


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
