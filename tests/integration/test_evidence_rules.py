"""How often and for how long weak evidence repeats until it is believed, and when an endpoint is asked again."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.iot_portal.evidence import EndpointFailure, WeakEvidence

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def failure(
    times: int,
    *,
    over: timedelta = timedelta(),
    is_refusal: bool = True,
    is_strong: bool = False,
    has_worked: bool = True,
) -> EndpointFailure:
    """Return failures in a row, the last of which comes now."""
    first = NOW - over
    each = EndpointFailure(
        since=first,
        last=first,
        is_refusal=is_refusal,
        is_strong=is_strong,
        has_worked=has_worked,
    )
    for _ in range(times - 1):
        each = each.again(NOW, is_refusal=is_refusal, is_strong=is_strong)
    return each


@pytest.mark.parametrize(
    ("times", "over", "is_refused"),
    [(3, DAY, False), (4, 6 * HOUR - SECOND, False), (4, 6 * HOUR, True), (5, DAY, True)],
)
def test_refused_after_it_has_worked(times: int, over: timedelta, is_refused: bool) -> None:
    """An endpoint that has worked is called refused after 4 refusals within 6 hours or more."""
    assert failure(times, over=over).is_refused == is_refused


@pytest.mark.parametrize(("times", "is_refused"), [(1, False), (2, True)])
def test_refused_from_the_start(times: int, is_refused: bool) -> None:
    """An endpoint that has never worked is called refused with the second refusal, however soon it comes."""
    assert failure(times, has_worked=False).is_refused == is_refused


@pytest.mark.parametrize("has_worked", [True, False])
def test_refused_by_the_portal(has_worked: bool) -> None:
    """The portal's own word is believed at once, as long as it is the last one."""
    refused = failure(1, is_strong=True, has_worked=has_worked)
    assert refused.is_refused
    # A page after it is one refusal more that anybody could have sent.
    assert refused.again(NOW, is_refusal=True, is_strong=False).is_refused == (not has_worked)
    failed = refused.again(NOW, is_refusal=False, is_strong=False)
    assert not failed.is_refused
    assert failed.again(NOW, is_refusal=True, is_strong=True).is_refused


@pytest.mark.parametrize("is_strong", [True, False])
def test_errors_are_no_refusal(is_strong: bool) -> None:
    """An endpoint that answers with errors only is never called refused."""
    assert not failure(100, over=30 * DAY, is_refusal=False, is_strong=is_strong).is_refused


@pytest.mark.parametrize(
    ("failed", "interval"),
    [
        (failure(2), timedelta()),
        (failure(3), 30 * MINUTE),
        (failure(4), HOUR),
        (failure(5), 2 * HOUR),
        (failure(8), 16 * HOUR),
        (failure(9), DAY),
        (failure(10_000), DAY),
        (failure(1, is_strong=True), DAY),
        (failure(2, is_refusal=False), timedelta()),
        (failure(3, is_refusal=False), 30 * MINUTE),
        (failure(4, is_refusal=False), HOUR),
        (failure(10_000, is_refusal=False), HOUR),
        (failure(1, is_refusal=False, is_strong=True), timedelta()),
        (failure(10_000, is_refusal=False, is_strong=True), HOUR),
    ],
)
def test_asked_again(failed: EndpointFailure, interval: timedelta) -> None:
    """An endpoint is asked less and less often: one that is refused once a day, one that fails once an hour."""
    assert failed.is_due(NOW + interval)
    assert interval == timedelta() or not failed.is_due(NOW + interval - SECOND)
    assert interval == timedelta() or not failed.is_due(NOW)


def test_asked_again_by_a_clock_that_was_set_back() -> None:
    """An endpoint is asked when nobody knows how long ago it failed."""
    assert failure(10_000).is_due(NOW - SECOND)


def test_enough() -> None:
    """Evidence is enough when it has repeated so many times and for so long, from the first on."""
    evidence = WeakEvidence()
    assert not evidence.is_enough(0, timedelta(), NOW)
    for minutes in (0, 10, 20):
        assert not evidence.is_enough(3, 20 * MINUTE, NOW + DAY)
        evidence.add(NOW + minutes * MINUTE)

    assert not evidence.is_enough(3, 20 * MINUTE, NOW + 20 * MINUTE - SECOND)
    assert evidence.is_enough(3, 20 * MINUTE, NOW + 20 * MINUTE)
    assert evidence.is_enough(2, 20 * MINUTE, NOW + DAY)


def test_contradicted() -> None:
    """Evidence that was contradicted starts anew, with its number and its time."""
    evidence = WeakEvidence()
    for _ in range(3):
        evidence.add(NOW)
    evidence.clear()
    for _ in range(2):
        evidence.add(NOW + DAY)

    assert not evidence.is_enough(3, timedelta(), NOW + 2 * DAY)
    assert not evidence.is_enough(2, 2 * DAY, NOW + 2 * DAY)
    assert evidence.is_enough(2, DAY, NOW + 2 * DAY)
