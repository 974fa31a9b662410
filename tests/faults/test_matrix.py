"""Every route under every fault, at set-up, in a poll and in an action: what a user notices of it."""

from itertools import product

import pytest

from mock_portal import MockPortal
from mock_portal.faults import Fault, FaultKind
from mock_portal.routes import ROUTES
from tests.integration.conftest import ICCID, OTHER_ICCID

from .rules import CELLS, EVENTS, HANDS, NOTHING, SIM, Cell, Phase, Recovery
from .world import HOURS, World


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_fault(world: World, portal: MockPortal, impatient: None, cell: Cell) -> None:
    """What hangs on the route is unavailable and nothing else, it is said once, all comes back by itself."""
    if cell.row.absent:
        portal.sims[ICCID].refused_routes = frozenset({"ctdUsage"})

    fault = await STRIKE[cell.phase](world, cell)

    assert fault.fired
    assert world.log_in_requests == int(cell.refuses_credentials)
    assert len(world.log()) == cell.lines

    portal.faults.clear()
    await recover(world, cell)

    assert world.shown(ICCID) == cell.present
    assert world.shown(OTHER_ICCID) == SIM | HANDS | EVENTS
    assert len(world.log()) == int(cell.tells_of_its_end)
    assert world.told == cell.events
    assert not world.repairs
    await world.unload()


def hit(world: World, cell: Cell) -> Fault:
    """Let the fault lie in wait for the first SIM, or for all where nothing tells one from the others."""
    iccid = ICCID if ROUTES[cell.route].has_iccid else None
    return world.portal.faults.add(cell.kind, route=cell.route, iccid=iccid, **cell.details)


async def strike_at_set_up(world: World, cell: Cell) -> Fault:
    """Set the account up while the portal fails, and poll it once more."""
    options = {"watch_sms": cell.row.watches_sms}
    if cell.route == "GetSMS":
        # Nobody asks for an SMS at set-up but for one that was under way before.
        await world.set_up(options)
        await world.act("send_sms", {"message": "Hello"})
        world.portal.clock.advance(60)
        world.clock.jump(HOURS)
        world.told.clear()
        fault = hit(world, cell)
        await world.reload()
    else:
        fault = hit(world, cell)
        await world.set_up(options)
    see_what_is_lost(world, cell)
    await world.poll()
    see_what_is_lost(world, cell)
    return fault


async def strike_in_polls(world: World, cell: Cell) -> Fault:
    """Poll an account that works, twice while the portal fails."""
    await world.set_up({"watch_sms": cell.row.watches_sms})
    assert world.shown(ICCID) == cell.present
    assert not world.log()
    if cell.row.watches_sms:
        world.portal.state.receive_sms(ICCID, "Hello")
    fault = hit(world, cell)
    for _ in range(2):
        if cell.route == "Login":
            world.portal.state.revoke_tokens()
        await world.poll()
        see_what_is_lost(world, cell)
    return fault


async def strike_an_action(world: World, cell: Cell) -> Fault:
    """Act while the portal fails."""
    await world.set_up({})
    world.portal.state.receive_sms(ICCID, "Hello")
    if cell.route == "Login":
        world.portal.state.revoke_tokens()
    fault = hit(world, cell)
    error = await world.act(cell.row.action, cell.row.data)
    assert (error and error.translation_key) == cell.error
    assert ("may have been carried out" in str(error)) is (cell.error == "outcome_unknown")
    see_what_is_lost(world, cell)
    if cell.is_write:
        assert world.writes(cell.route) <= 1
    return fault


STRIKE = {
    Phase.SET_UP: strike_at_set_up,
    Phase.POLL: strike_in_polls,
    Phase.ACTION: strike_an_action,
}


def see_what_is_lost(world: World, cell: Cell) -> None:
    """Compare what is shown of both SIMs with what the tables say."""
    assert world.shown(ICCID) == cell.present - cell.lost
    spared = SIM | HANDS | EVENTS
    assert world.shown(OTHER_ICCID) == spared - (cell.lost if cell.hits_everybody else NOTHING)


async def recover(world: World, cell: Cell) -> None:
    """Do what it takes to have everything back: wait for one poll, if possible."""
    if cell.recovery is Recovery.BY_A_LOG_IN:
        await world.reload()
    elif cell.recovery is Recovery.BY_A_REFRESH:
        await world.refresh()
    # What was asked for takes effect within a minute.
    world.portal.clock.advance(60)
    await world.poll()


def test_complete() -> None:
    """No route and no fault of the mock is left out; docs/reliability.md quotes the number."""
    assert {(cell.route, cell.kind) for cell in CELLS} == set(product(ROUTES, FaultKind))
    assert {cell.phase for cell in CELLS} == set(Phase)
    assert len(CELLS) == 624
