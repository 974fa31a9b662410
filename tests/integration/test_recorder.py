"""What the recorder writes of a SIM."""

from datetime import UTC, datetime

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.db_schema import StateAttributes, States, StatesMeta
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import session_scope
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from sqlalchemy import func, select

from mock_portal import MockPortal

from .conftest import OTHER_ICCID, SetUp
from .helpers import poll


@pytest.fixture
def noon(freezer: FrozenDateTimeFactory) -> None:
    """Freeze the clocks in the middle of a day and of a billing cycle."""
    freezer.move_to(datetime(2026, 11, 16, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def integration(noon: None, recorder_mock: Recorder, integration: None) -> None:
    """Set up the recorder before Home Assistant, as required."""


async def rows(hass: HomeAssistant) -> tuple[list[str], int]:
    """Return the name of the entity of each state of the SIM in the database, and the number of sets of attributes."""
    await async_wait_recording_done(hass)
    prefix = f"sensor.sim_{OTHER_ICCID}_"
    with session_scope(hass=hass, read_only=True) as session:
        entities = session.scalars(
            select(StatesMeta.entity_id)
            .join(States, States.metadata_id == StatesMeta.metadata_id)
            .where(StatesMeta.entity_id.contains(OTHER_ICCID))
        ).all()
        attributes = session.scalar(select(func.count()).select_from(StateAttributes))
    assert attributes
    return sorted(str(entity).removeprefix(prefix) for entity in entities), attributes


async def test_rows(
    hass: HomeAssistant, set_up: SetUp, portal: MockPortal, freezer: FrozenDateTimeFactory
) -> None:
    """A poll of an idle SIM adds no rows, one of a SIM that uses data adds a state for each value that has changed."""
    await set_up(OTHER_ICCID, options={"default_allowance": 100})
    await poll(hass, freezer)
    states, attributes = await rows(hass)

    await poll(hass, freezer)
    assert await rows(hass) == (states, attributes)

    portal.sims[OTHER_ICCID].data_usage += 1_000_000
    await poll(hass, freezer)
    changed = ["allowance_used", "data_remaining", "data_usage", "data_used_today"]
    assert await rows(hass) == (sorted(states + changed), attributes)
