"""The pytest plugin, in separate test runs."""

import pytest

from .helpers import PLUGIN

pytest_plugins = ("pytester",)

ASYNCIO = (
    *("-p", "pytest_asyncio.plugin"),
    "--asyncio-mode=auto",
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)

SYNC_TEST = """
    import json
    from urllib.request import Request, urlopen

    import pytest

    def log_in(portal):
        body = json.dumps({"clientId": "demo-client", "secretKey": "demo-secret"}).encode()
        with urlopen(Request(portal.url + "/Login", body)) as answer:
            return json.load(answer)["data"]["token"]

    def test_default(mock_portal):
        assert log_in(mock_portal) in mock_portal.state.tokens
        mock_portal.journal.assert_called_once("POST", "/Login")

    def test_every_test_has_its_own(mock_portal):
        assert len(mock_portal.journal) == 0
        assert list(mock_portal.sims) == ["8931082322089353632"]

    @pytest.mark.mock_portal(scenario="fleet", dialects={"sms_id": "bare"})
    class TestMarked:
        def test_scenario(self, mock_portal):
            assert len(mock_portal.sims) == 101
            assert mock_portal.dialects["sms_id"] == "bare"

        @pytest.mark.mock_portal(scenario="demo", faults=[{"kind": "hang"}])
        def test_nearer_marker_wins(self, mock_portal):
            assert len(mock_portal.sims) == 4
            assert mock_portal.dialects["sms_id"] == "bare"
            assert [fault.kind for fault in mock_portal.faults] == ["hang"]

        @pytest.mark.mock_portal("demo")
        def test_positional(self, mock_portal):
            assert len(mock_portal.sims) == 4
            assert mock_portal.dialects["sms_id"] == "bare"
"""
ASYNC_TEST = """
    from aiohttp import ClientSession

    async def test_from_a_loop(mock_portal):
        body = {"apiToken": "demo-token"}
        async with (
            ClientSession() as session,
            session.post(mock_portal.url + "/Login", json=body) as answer,
        ):
            assert (await answer.json())["data"]["token"] in mock_portal.state.tokens
"""


@pytest.fixture(autouse=True)
def only_named_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load only the plugins that a test names, whatever is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_without_asyncio(pytester: pytest.Pytester) -> None:
    """The fixture needs no other plugin, and obeys its marker."""
    pytester.makepyfile(SYNC_TEST)
    result = pytester.runpytest_inprocess(*PLUGIN, "--strict-markers")
    result.assert_outcomes(passed=5)


def test_with_asyncio(pytester: pytest.Pytester) -> None:
    """The fixture works in tests that run in an event loop."""
    pytester.makepyfile(ASYNC_TEST)
    forbidden = ("-p", "pytest_socket", "--disable-socket", "--allow-unix-socket")
    result = pytester.runpytest_inprocess(*PLUGIN, *ASYNCIO, *forbidden)
    result.assert_outcomes(passed=1)


def test_where_sockets_are_forbidden(pytester: pytest.Pytester) -> None:
    """The fixture allows sockets where pytest-socket forbids them, as Home Assistant's tests do."""
    pytester.makepyfile(ASYNC_TEST)
    forbidden = ("-p", "pytest_socket", "--disable-socket", "--allow-unix-socket")
    result = pytester.runpytest_inprocess(*PLUGIN, *ASYNCIO, *forbidden)
    result.assert_outcomes(passed=1)


def test_marker_is_declared(pytester: pytest.Pytester) -> None:
    """`pytest --markers` describes the marker."""
    result = pytester.runpytest_inprocess(*PLUGIN, "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.mock_portal(scenario=...*"])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("scenari='demo'", "there is no 'scenari'; did you mean scenario?"),
        ("zzz=1", "there is no 'zzz'; there are scenario, host"),
        ("'demo', {'sms_id': 'bare'}", "too many positional arguments"),
        ("'demo', scenario='demo'", "multiple values for argument 'scenario'"),
        ("'nonsense'", "There is no scenario 'nonsense'; shipped are"),
        ("dialects={'sms_id': 'x'}", "Dialect sms_id has no variant 'x'"),
        ("faults=[{'kind': 'hang', 'method': 'get'}]", "did you mean GET?"),
    ],
)
def test_a_marker_that_makes_no_sense(pytester: pytest.Pytester, arguments: str, part: str) -> None:
    """A wrong marker fails its test with a sentence, without a traceback."""
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.mock_portal({arguments})
        def test(mock_portal):
            pass
    """)
    result = pytester.runpytest_inprocess(*PLUGIN, "--strict-markers")
    result.assert_outcomes(errors=1)
    output = result.stdout.str()
    assert "@pytest.mark.mock_portal: " in output
    assert part in output
    assert "Traceback" not in output
    assert "pytest_plugin.py:" not in output
