"""A portal at a glance: clock, accounts, dialects, faults, and the SIMs in short."""

from dataclasses import dataclass
from datetime import datetime

from . import serialization
from .backend import Backend
from .contents import Account, Sms
from .faults import Fault
from .sim import Sim

_COUNT = serialization.between(0, 10**6)


@dataclass(kw_only=True)
class OverviewQuery:
    """Query of `GET /_mock/overview`; `search` is a part of an ICCID, a name, a status and the like."""

    search: str = ""
    limit: int = serialization.checked(50, _COUNT)


@dataclass(kw_only=True)
class SimOverview:
    """One SIM in short; `data_usage` is bytes."""

    iccid: str
    name: str
    network: str
    status: str
    requested_status: str | None
    data_usage: int
    allowance: str
    in_session: bool
    ip_address: str | None
    session_started: datetime | None
    session_ended: datetime | None
    last_sms: Sms | None


@dataclass(kw_only=True)
class Overview:
    """A portal in short; `found` is the number of SIMs that match the search, shown or not."""

    description: str
    now: datetime
    frozen: bool
    requests: int
    accounts: list[Account]
    dialects: dict[str, str]
    faults: list[Fault]
    total: int
    found: int
    sims: list[SimOverview]


def show(backend: Backend, query: OverviewQuery) -> Overview:
    """Return a portal in short, with the first SIMs that match a search."""
    state = backend.state
    state.settle()
    found = _find(backend, query.search)
    shown = [state.sims[iccid] for iccid in found[: query.limit]]
    messages = _last_sms(backend, {sim.iccid for sim in shown})
    return Overview(
        description=backend.description,
        now=backend.clock.now(),
        frozen=backend.clock.frozen,
        requests=backend.journal.total,
        accounts=list(state.accounts.values()),
        dialects=dict(backend.dialects),
        faults=list(backend.faults),
        total=len(state.sims),
        found=len(found),
        sims=[_shorten(sim, messages.get(sim.iccid)) for sim in shown],
    )


def _find(backend: Backend, search: str) -> list[str]:
    """Return the ICCIDs of the SIMs that match a search."""
    if not search:
        return list(backend.sims)
    wanted = search.casefold()
    return [iccid for iccid, sim in backend.sims.items() if wanted in _text(sim)]


def _text(sim: Sim) -> str:
    """Return the text of a SIM that a search looks into."""
    names = (sim.device.get(key) for key in ("deviceID", "customer", "endConsumerId"))
    parts = (sim.iccid, sim.status, sim.network, sim.imsi, sim.msisdn, sim.imei, sim.ip_address)
    return "\n".join(str(part) for part in (*parts, *names) if part).casefold()


def _last_sms(backend: Backend, iccids: set[str]) -> dict[str, Sms]:
    """Return the newest text message of each of these SIMs."""
    found: dict[str, Sms] = {}
    for sms in reversed(backend.state.sms.values()):
        if sms.iccid in iccids:
            found.setdefault(sms.iccid, sms)
            if len(found) == len(iccids):
                break
    return found


def _shorten(sim: Sim, last_sms: Sms | None) -> SimOverview:
    """Return a SIM in short."""
    allowance = (sim.device.get("dataquantity"), sim.device.get("datasize"))
    return SimOverview(
        iccid=sim.iccid,
        name=str(sim.device.get("deviceID") or ""),
        network=sim.network,
        status=sim.status,
        requested_status=sim.requested_status,
        data_usage=sim.data_usage,
        allowance=" ".join(str(part) for part in allowance) if all(allowance) else "",
        in_session=sim.in_session,
        ip_address=sim.ip_address,
        session_started=sim.session_started,
        session_ended=sim.session_ended,
        last_sms=last_sms,
    )
