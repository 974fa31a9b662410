"""Every route under every fault, during set-up, polls and actions."""

from itertools import product

import pytest

from mock_portal import MockPortal
from mock_portal.faults import Fault, FaultKind
from mock_portal.routes import ROUTES
from tests.integration.conftest import ICCID, OTHER_ICCID

from .harness import HOURS, FaultHarness
from .rules import CELLS, CONTROLS, EVENTS, LAST_RECEIVED, NOTHING, SIM, Cell, Keys, Phase, Recovery


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_fault(
    harness: FaultHarness, portal: MockPortal, impatient: None, cell: Cell
) -> None:
    """Only the entities that depend on the route become unavailable, it is logged once, and all recover."""
    if cell.effects.absent:
        portal.sims[ICCID].refused_routes = frozenset({"ctdUsage"})

    fault = await PHASE_RUNNERS[cell.phase](harness, cell)

    assert fault.fired
    assert harness.log_in_requests == int(cell.asks_for_credentials)
    assert len(harness.log()) == cell.log_lines

    portal.faults.clear()
    await recover(harness, cell)

    assert harness.shown(ICCID) == cell.present | added_by_sms(harness)
    assert harness.shown(OTHER_ICCID) == SIM | CONTROLS | EVENTS
    assert len(harness.log()) == int(cell.logs_recovery)
    assert harness.events == cell.events
    assert not harness.repairs
    assert not harness.log_in_requests
    await harness.unload()


def add_fault(harness: FaultHarness, cell: Cell) -> Fault:
    """Add the fault for the first SIM, or for all where the route has no ICCID."""
    iccid = ICCID if ROUTES[cell.route].has_iccid else None
    return harness.portal.faults.add(cell.kind, route=cell.route, iccid=iccid, **cell.details)


async def fail_at_set_up(harness: FaultHarness, cell: Cell) -> Fault:
    """Set up the account during the fault, and poll it once more."""
    options = {"watch_sms": cell.effects.watches_sms}
    if cell.route == "GetSMS":
        # Set-up only reads an SMS that was being followed before.
        await harness.set_up(options)
        await harness.act("send_sms", {"message": "Hello"})
        harness.portal.clock.advance(60)
        harness.clock.jump(HOURS)
        harness.events.clear()
        fault = add_fault(harness, cell)
        await harness.reload()
    else:
        fault = add_fault(harness, cell)
        await harness.set_up(options)
    check_available_entities(harness, cell)
    await harness.poll()
    check_available_entities(harness, cell)
    return fault


async def fail_in_polls(harness: FaultHarness, cell: Cell) -> Fault:
    """Poll a working account twice during the fault."""
    await harness.set_up({"watch_sms": cell.effects.watches_sms})
    assert harness.shown(ICCID) == cell.present
    assert not harness.log()
    if cell.effects.watches_sms:
        harness.portal.state.receive_sms(ICCID, "Hello")
    fault = add_fault(harness, cell)
    for _ in range(2):
        if cell.route == "Login":
            harness.portal.state.revoke_tokens()
        await harness.poll()
        check_available_entities(harness, cell)
    return fault


async def fail_in_action(harness: FaultHarness, cell: Cell) -> Fault:
    """Call an action during the fault."""
    await harness.set_up({})
    harness.portal.state.receive_sms(ICCID, "Hello")
    if cell.route == "Login":
        harness.portal.state.revoke_tokens()
    fault = add_fault(harness, cell)
    error = await harness.act(cell.effects.action, cell.effects.data)
    assert (error and error.translation_key) == cell.error
    assert ("may have been carried out" in str(error)) is (cell.error == "outcome_unknown")
    check_available_entities(harness, cell)
    if cell.is_write:
        assert harness.writes(cell.route) <= 1
    return fault


PHASE_RUNNERS = {
    Phase.SET_UP: fail_at_set_up,
    Phase.POLL: fail_in_polls,
    Phase.ACTION: fail_in_action,
}


def check_available_entities(harness: FaultHarness, cell: Cell) -> None:
    """Compare the available entities of both SIMs with the tables."""
    assert harness.shown(ICCID) == (cell.present | added_by_sms(harness)) - cell.lost
    spared = SIM | CONTROLS | EVENTS
    assert harness.shown(OTHER_ICCID) == spared - (cell.lost if cell.affects_all_sims else NOTHING)


def added_by_sms(harness: FaultHarness) -> Keys:
    """Return the entity that the first SMS from the first SIM adds."""
    return LAST_RECEIVED if "sms_received" in harness.events else NOTHING


async def recover(harness: FaultHarness, cell: Cell) -> None:
    """Do what is needed for a recovery: one poll, if possible."""
    if cell.recovery is Recovery.BY_A_LOG_IN:
        await harness.reload()
    elif cell.recovery is Recovery.BY_A_REFRESH:
        await harness.refresh()
    # The portal carries out writes within a minute.
    harness.portal.clock.advance(60)
    await harness.poll()


def test_complete() -> None:
    """Every route and fault of the mock is covered; docs/reliability.md quotes the number."""
    assert {(cell.route, cell.kind) for cell in CELLS} == set(product(ROUTES, FaultKind))
    assert {cell.phase for cell in CELLS} == set(Phase)
    assert len(CELLS) == 858
