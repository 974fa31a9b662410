"""The data allowance guard: what it must not do on weak evidence."""

from pathlib import Path
import shutil

from homeassistant.setup import async_setup_component
import pytest

from .home import ICCID, Home
from .odd_portal import page

BLUEPRINTS = Path(__file__).parents[2] / "blueprints"


@pytest.fixture
async def guard(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Return a Home Assistant with the data allowance guard, which deactivates a SIM at 100 % of 500 MB."""
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints")
    monkeypatch.setattr(home.hass.config, "config_dir", str(tmp_path))
    home.use(480)
    await home.start(settings={"allowance": 500, "plan_unit": "decimal"})
    config = {
        "alias": "Guard",
        "use_blueprint": {
            "path": "iot_portal/data_allowance_guard.yaml",
            "input": {
                "sims": {"entity_id": home.entity_id("allowance_used")},
                "deactivate": True,
            },
        },
    }
    assert await async_setup_component(home.hass, "persistent_notification", {})
    assert await async_setup_component(home.hass, "automation", {"automation": config})
    await home.settle()
    return home


async def deactivations(home: Home, *readings: float | None) -> int:
    """Return how often the SIM was asked to be deactivated after readings; None is a page."""
    for megabytes in readings:
        if megabytes is None:
            home.portal.always("ctdUsage", page(403))
        else:
            home.portal.well()
            home.use(megabytes)
        await home.poll()
    return home.portal.count("RequestStatusChange")


async def test_guard_acts_at_the_limit(guard: Home) -> None:
    """It deactivates the SIM once.

    Case: 480, 499, 501, 520 MB of 500 MB
    Source: the documentation of the blueprint
    """
    assert await deactivations(guard, 499, 501, 520) == 1


async def test_guard_and_a_correction(guard: Home) -> None:
    """It does not deactivate the SIM a second time in one cycle.

    Case: the count falls below the limit by a kilobyte or for one poll, and rises again
    Source: home-assistant/core 162935, 102915, PR 55153, 182493
    """
    first = await deactivations(guard, 500.001)
    for status in ("DEACTIVATED", "ACTIVATED"):
        guard.portal.set(ICCID, status=status)
        await guard.poll()

    assert await deactivations(guard, 499.999, 501, 0, 502, 470, 503) == first


async def test_guard_and_a_page(guard: Home) -> None:
    """It acts soon after the limit, not a day later.

    Case: a page instead of one answer shortly before the limit
    Source: home-assistant/core 152205; hass-WEM-Portal 68
    """
    assert await deactivations(guard, 490, None, 495, 505, 520) == 1
    assert guard.megabytes() == 520


async def test_guard_and_a_zero_for_hours(guard: Home) -> None:
    """It does not deactivate the SIM a second time when the count comes back.

    Case: 501 MB of 500 MB, 0 at thirty polls, 502 MB, 520 MB
    Source: home-assistant/core 67366, 59279, 56500; StephanJoubert/home_assistant_solarman 35
    """
    first = await deactivations(guard, 501)
    for status in ("DEACTIVATED", "ACTIVATED"):
        guard.portal.set(ICCID, status=status)
        await guard.poll()

    assert await deactivations(guard, *[0] * 30, 502, 503, 520) == first == 1
