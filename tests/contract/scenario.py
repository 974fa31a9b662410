"""The scenario of both contract tests: SIMs for every case, and all variants of all dialects."""

from typing import Any

from mock_portal.dialects import DIALECTS

USED = "8931000000000000017"
"""A SIM with usage and an open session."""
FRESH = "8931000000000000025"
"""A SIM without usage that never had a session."""
REFUSING = "8931000000000000033"
"""A SIM whose network refuses sessionInfo."""
ABZORB = "8944000000000000016"
"""A SIM of the Abzorb network."""
UNKNOWN = "8931000000000000999"

SCENARIO: dict[str, Any] = {
    "extends": "documented",
    "sims": {
        USED: {
            "data_usage": 1_500_000,
            "session_count": 3,
            "ip_address": "10.0.0.1",
            "session_started": "-1h",
        },
        FRESH: {},
        REFUSING: {"refused_routes": ["sessionInfo"]},
        ABZORB: {"network": "abzorb", "data_usage": 2_000_000},
    },
}

VARIANTS = [
    (dialect.name, variant.name) for dialect in DIALECTS.values() for variant in dialect.variants
]


def expected[T](
    defaults: dict[str, T], changes: dict[tuple[str, str], dict[str, T]], variant: tuple[str, str]
) -> dict[str, T]:
    """Return the results that a journey must have under one variant."""
    assert changes.keys() <= set(VARIANTS)
    return defaults | changes.get(variant, {})
