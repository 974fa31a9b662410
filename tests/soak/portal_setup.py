"""The mock portal of a soak: its fleet and its faults."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from random import Random
import secrets
from typing import Any, Final

from mock_portal import MockPortal
from mock_portal.sim import Sim

CANARY: Final = "canary"
CLIENT_ID: Final = "soak-client"
KEY: Final = f"{CANARY}-secret-1"
NEW_KEY: Final = f"{CANARY}-secret-2"
# Documented statuses among which an account may change.
STATUSES: Final = ("ACTIVATED", "DEACTIVATED", "ACTIVATION_READY", "TEST_READY")
TERMINAL_STATUSES: Final = ("RETIRED", "PURGED")
READS: Final = ("ctdUsage", "getStatus", "sessionInfo", "GetDevice", "GetSMS")
FAULT_RATE: Final = 0.1

FAULTS: Final[tuple[Mapping[str, Any], ...]] = (
    {"kind": "delay", "seconds": 20},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "status", "status": 503, "headers": {"Retry-After": "7"}},
    {"kind": "rate_limited"},
    {"kind": "rate_limited", "retry_after": "3"},
    {"kind": "empty_body"},
    {"kind": "truncated_body"},
    {"kind": "garbage"},
    {"kind": "wrong_content_type"},
    {"kind": "wrong_json_type"},
    {"kind": "reset_before_read"},
    {"kind": "reset_after_read"},
    {"kind": "slow_drip", "seconds": 2},
    {"kind": "hang"},
    {"kind": "oversized_body", "size": 1_100_000},
    {"kind": "maintenance_page"},
    {"kind": "wrong_sim"},
    # Responses that say that the SIM or the route does not exist, which a log-in never gets.
    *({"kind": "status", "status": 404, "route": route} for route in READS),
    *({"kind": "status", "status": 403, "route": route} for route in ("sessionInfo", "GetDevice")),
)


def fleet(random: Random, number: int) -> dict[str, dict[str, Any]]:
    """Return SIMs with random billing days and usage rates."""
    return {
        f"8931080000{random.randrange(10**4):04}{index:05}": {
            "status": random.choice(STATUSES),
            "data_usage": random.randrange(10**8),
            "session_count": random.choice([None, random.randrange(40)]),
            "bytes_per_second": random.choice([0, random.randrange(1000)]),
            "posted_every": random.choice([0, 900, 3600]),
            "cycle_day": random.randrange(1, 29),
        }
        for index in range(number)
    }


def scenario(random: Random, number: int) -> dict[str, Any]:
    """Return the scenario of the portal."""
    return {
        "accounts": {
            CLIENT_ID: {"secret_key": KEY, "api_token": f"{CANARY}-api-token"},
        },
        "sims": fleet(random, number),
        "timings": {"status_seconds": 1200, "status_reads": 3, "sms_seconds": 90},
    }


# Pauses that a portal asks for now and then; nobody waits for a day.
LONG_PAUSES: Final = ("3600", "86400")
# Out of all requests.
LONG_PAUSE_RATE: Final = 0.0001


def add_faults(portal: MockPortal, random: Random) -> None:
    """Make every tenth request fail, with a random fault."""
    general = [fault for fault in FAULTS if "route" not in fault]
    # The faults are tried one after the other.
    each = 1 - (1 - FAULT_RATE) ** (1 / len(general))
    for fault in FAULTS:
        probability = each if fault in general else each / 5
        portal.faults.add(**fault, probability=probability, seed=random.randrange(10**6))
    for pause in LONG_PAUSES:
        seed = random.randrange(10**6)
        portal.faults.add("rate_limited", retry_after=pause, probability=LONG_PAUSE_RATE, seed=seed)


@contextmanager
def hanging_reads(portal: MockPortal, iccid: str) -> Iterator[None]:
    """Leave every read of a SIM unanswered while the context lasts."""
    fault = portal.faults.add("hang", method="GET", iccid=iccid)
    try:
        yield
    finally:
        portal.faults.remove(fault.id)


@contextmanager
def recognizable_tokens() -> Iterator[None]:
    """Make the portal issue tokens that can be searched for, while the context lasts."""
    numbers = count(1)
    original = secrets.token_urlsafe
    secrets.token_urlsafe = lambda nbytes=None: f"{CANARY}-session-token-{next(numbers)}"
    try:
        yield
    finally:
        secrets.token_urlsafe = original


def change_sim(sim: Sim, random: Random) -> None:
    """Change something of a SIM that no user requested."""
    match random.randrange(10):
        case 0:
            sim.set_status(random.choice(STATUSES))
        case 1:
            sim.swap_imei(f"35693800{random.randrange(10**7):07}")
        case 2 | 3 | 4:
            sim.close_session()
        case _:
            sim.open_session(f"100.64.{random.randrange(256)}.{random.randrange(1, 255)}")
