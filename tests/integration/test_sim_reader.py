"""The requests of a poll, depending on the known data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.iot_portal.api import Device, Session, Usage
from custom_components.iot_portal.const import DEVICE_INTERVAL
from custom_components.iot_portal.evidence import MAX_REFUSED_INTERVAL, EndpointFailure
from custom_components.iot_portal.models import Endpoint, SimData
from custom_components.iot_portal.sim_reader import due_endpoints

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def refused(since: datetime) -> EndpointFailure:
    """Return the failure of an endpoint that the portal itself has refused."""
    return EndpointFailure(
        since=since, last=since, is_refusal=True, is_strong=True, has_worked=False
    )


RECENTLY = refused(NOW - timedelta(hours=23))
STARTED = NOW - timedelta(days=1)

USAGE = Usage(raw={"iccid": "1"}, status="ACTIVATED", session_count=3)
KNOWN = SimData(
    status="ACTIVATED",
    usage=USAGE,
    session=Session(started=STARTED, ended=STARTED + timedelta(hours=1)),
    device=Device(),
    device_read_at=NOW - timedelta(minutes=15),
)
STATUS, SESSION, DEVICE = Endpoint.STATUS, Endpoint.SESSION, Endpoint.DEVICE


@pytest.mark.parametrize(
    ("known", "usage", "plan"),
    [
        pytest.param(SimData(), USAGE, [SESSION, DEVICE], id="new"),
        pytest.param(SimData(), None, [STATUS, SESSION, DEVICE], id="new without usage"),
        pytest.param(KNOWN, USAGE, [], id="idle"),
        pytest.param(KNOWN, replace(USAGE, status="RETIRED"), [], id="another status"),
        pytest.param(KNOWN, replace(USAGE, status=None), [STATUS], id="usage without status"),
        pytest.param(KNOWN, replace(USAGE, session_count=4), [SESSION], id="new session"),
        pytest.param(KNOWN, replace(USAGE, session_count=0), [SESSION], id="new cycle"),
        pytest.param(KNOWN, replace(USAGE, session_count=None), [SESSION], id="sessions uncounted"),
        pytest.param(KNOWN, None, [STATUS, SESSION], id="usage refused"),
        pytest.param(replace(KNOWN, usage=None), USAGE, [SESSION], id="usage allowed again"),
        pytest.param(replace(KNOWN, session=None), USAGE, [SESSION], id="session failed before"),
        pytest.param(replace(KNOWN, session=Session()), USAGE, [], id="never in a session"),
        pytest.param(
            replace(KNOWN, session=Session(started=STARTED)), USAGE, [SESSION], id="open session"
        ),
        pytest.param(replace(KNOWN, device=None), USAGE, [DEVICE], id="device failed before"),
        pytest.param(replace(KNOWN, device_read_at=None), USAGE, [DEVICE], id="device edited"),
        pytest.param(
            replace(KNOWN, device_read_at=NOW - DEVICE_INTERVAL), USAGE, [DEVICE], id="device old"
        ),
        pytest.param(
            SimData(failing={SESSION: RECENTLY, DEVICE: RECENTLY}), USAGE, [], id="refused parts"
        ),
        pytest.param(
            SimData(failing={STATUS: RECENTLY}), None, [SESSION, DEVICE], id="status refused"
        ),
        pytest.param(
            replace(KNOWN, session=None, failing={SESSION: refused(NOW - MAX_REFUSED_INTERVAL)}),
            USAGE,
            [SESSION],
            id="refused until now",
        ),
    ],
)
def test_plan(known: SimData, usage: Usage | None, plan: list[Endpoint]) -> None:
    """A poll makes requests for data that can have changed, and none that are refused."""
    assert due_endpoints(known, NOW, usage) == plan
