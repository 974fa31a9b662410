"""What a user notices when the portal fails, in every way and everywhere it can."""

import pytest

pytest.register_assert_rewrite("tests.faults.world")
