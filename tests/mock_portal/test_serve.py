"""The options of `mock-portal serve`, also from the environment, and what is wrong with them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
import json
import os
from pathlib import Path
import signal
import ssl
import subprocess
import sys
import time
from typing import Any

import pytest
import trustme
from urllib3 import PoolManager

from mock_portal import MockPortal
from mock_portal.cli import main
from mock_portal.errors import SetupError
from mock_portal.listening import explained
from mock_portal.serve import OPTIONS

from .conftest import ACTIVE

PROGRAM = (sys.executable, "-m", "mock_portal")


@contextmanager
def serving(
    *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """Run the program, and yield what it printed as JSON, and its process."""
    process = subprocess.Popen(  # noqa: S603  our own program
        [*PROGRAM, "serve", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        process.stdout.close()


def get(url: str, ca_file: str | None = None) -> Any:
    """Return the JSON at a URL."""
    return PoolManager(ca_certs=ca_file).request("GET", url, retries=False).json()


def test_json() -> None:
    """A program that starts the portal reads one line with all it needs."""
    with serving("--scenario", "demo") as (printed, _):
        assert list(printed) == [
            "url",
            "page_url",
            "control_url",
            "port",
            "ca_file",
            "accounts",
            "sims",
        ]
        assert printed["url"] == f"http://127.0.0.1:{printed['port']}/api"
        assert printed["accounts"] == [
            {
                "client_id": "demo-client",
                "secret_key": "demo-secret",
                "api_token": "demo-token",
            }
        ]
        assert {"iccid": ACTIVE, "status": "ACTIVATED"} in printed["sims"]
        assert get(f"{printed['control_url']}/health")["status"] == "ok"


def test_tls_and_files(tmp_path: Path) -> None:
    """The port and the authority are in files while the portal listens, and gone in the end."""
    port_file, ca_file = tmp_path / "port", tmp_path / "ca.pem"
    with serving("--tls", "--ca-file", str(ca_file), "--port-file", str(port_file)) as (printed, _):
        assert port_file.read_text() == f"{printed['port']}\n"
        assert printed["ca_file"] == str(ca_file)
        url = f"https://localhost:{printed['port']}/_mock/health"
        assert get(url, str(ca_file))["status"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_temporary_authority() -> None:
    """Without a name the authority is in a temporary file, which is printed."""
    with serving("--tls") as (printed, _):
        ssl.create_default_context(cafile=printed["ca_file"])
    assert not Path(printed["ca_file"]).exists()


def test_port_file_is_never_half_written(tmp_path: Path) -> None:
    """Whoever waits for the file reads a whole port, on which the portal listens already."""
    file = tmp_path / "port"
    process = subprocess.Popen(  # noqa: S603  our own program
        [*PROGRAM, "--port", "0", "--port-file", str(file)], stdout=subprocess.DEVNULL
    )
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.001)
    assert get(f"http://127.0.0.1:{int(file.read_text())}/_mock/health")["status"] == "ok"
    process.terminate()
    assert process.wait(10) == 0
    assert not file.exists()


def test_given_certificate(tmp_path: Path) -> None:
    """A certificate and its key may be in one file."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "both.pem"
    )
    with serving("--cert", str(tmp_path / "both.pem")) as (printed, _):
        assert printed["ca_file"] is None
        assert get(f"{printed['control_url']}/health", str(tmp_path / "ca.pem"))["status"] == "ok"


def test_faults_and_dialects() -> None:
    """Faults and dialects are set at start, and a reset returns to them."""
    arguments = (
        *("--fault", "delay,seconds=0.5,route=ctdUsage,times=1"),
        *("--fault", 'status,status=502,body={"a": 1, "b": "x,y"},headers={"X-A": "1"}'),
        *("--fault", "rate_limited,retry_after=7,iccid=8931082322204500018"),
        *("--fault", "status,body=plain text, with a comma"),
        *("--dialect", "sms_id=bare", "--dialect", "usage_body=object,status_body=quoted"),
    )
    with serving("--scenario", "flaky", *arguments) as (printed, _):
        control = printed["control_url"]
        PoolManager().request("DELETE", f"{control}/faults")
        PoolManager().request("POST", f"{control}/reset")
        first, second, third, fourth = get(f"{control}/faults")
        dialects = get(f"{control}/dialects")
    assert (first["seconds"], first["route"], first["times"]) == (0.5, "ctdUsage", 1)
    assert (second["body"], second["headers"]) == ({"a": 1, "b": "x,y"}, {"X-A": "1"})
    assert (third["retry_after"], third["iccid"]) == ("7", ACTIVE)
    assert fourth["body"] == "plain text, with a comma"
    assert (dialects["sms_id"], dialects["usage_body"]) == ("bare", "object")
    assert dialects["status_body"] == "quoted"


def test_log_and_cors() -> None:
    """The log goes to standard error, and pages may use the portal."""
    with serving("--log", "--cors") as (printed, process):
        answer = PoolManager().request("GET", f"{printed['control_url']}/health")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert process.stderr is not None
    assert " GET /_mock/health 200 " in process.stderr.read()
    process.stderr.close()


ENVIRONMENT = {
    "MOCK_PORTAL_SCENARIO": "demo",
    "MOCK_PORTAL_DIALECT": "sms_id=bare,usage_body=object status_body=quoted",
    "MOCK_PORTAL_FAULT": """delay,seconds=0 'status,body={"a": "b c"}'""",
    "MOCK_PORTAL_TLS": "1",
    "MOCK_PORTAL_CORS": "yes",
    "MOCK_PORTAL_LOG": "0",
    "MOCK_PORTAL_HOST": "",
    "MOCK_PORTAL_WEBHOOKS": "anywhere",
}


def test_environment(tmp_path: Path) -> None:
    """Everything can be set by variables, and an empty one is none."""
    environment = ENVIRONMENT | {"MOCK_PORTAL_CA_FILE": str(tmp_path / "ca.pem")}
    with serving(environment=environment) as (printed, process):
        control, ca_file = printed["control_url"], str(tmp_path / "ca.pem")
        assert control.startswith("https://127.0.0.1:")
        dialects = get(f"{control}/dialects", ca_file)
        assert (dialects["sms_id"], dialects["status_body"]) == ("bare", "quoted")
        assert [each["kind"] for each in get(f"{control}/faults", ca_file)] == ["delay", "status"]
        assert len(printed["sims"]) == 4
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_an_option_beats_its_variable() -> None:
    """What the command line says replaces what the environment says."""
    environment = {"MOCK_PORTAL_SCENARIO": "nonsense", "MOCK_PORTAL_DIALECT": "sms_id=nonsense"}
    environment |= {"MOCK_PORTAL_PORT": "99999"}
    arguments = ("--scenario", "demo", "--dialect", "sms_id=text")
    with serving(*arguments, environment=environment) as (printed, _):
        assert get(f"{printed['control_url']}/dialects")["sms_id"] == "text"


def test_every_option_has_a_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """The variables are named like the options, and the help says so."""
    assert {option.variable for option in OPTIONS} >= {"MOCK_PORTAL_PORT_FILE", "MOCK_PORTAL_TLS"}
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = capsys.readouterr().out
    assert "MOCK_PORTAL_PORT=9000" in shown
    assert all(option.name in shown for option in OPTIONS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The program says which version it is."""
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"mock-portal {version('mock-portal')}\n"


WRONG: tuple[tuple[Sequence[str], str], ...] = (
    (["--port", "99999"], "There is no port 99999; ports go from 1 to 65535"),
    (["--port", "-5"], "There is no port -5"),
    (["--host", ""], "The host is empty"),
    (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port"),
    (["--scenario", "nonsense"], "There is no scenario 'nonsense'; shipped are abzorb"),
    (["--scenario", "/"], "There is no scenario '/'"),
    (["--scenario", sys.executable], "cannot be read"),
    (["--dialect", "smsid=bare"], "there is no dialect 'smsid'; did you mean sms_id?"),
    (["--dialect", "sms_id=wrong"], "Dialect sms_id has no variant 'wrong'; it has smsMsgId"),
    (["--fault", "explode"], "--fault explode.kind: expected one of delay, status"),
    (["--fault", ""], "expected one of delay, status"),
    (["--fault", "delay,second=1"], "--fault delay,second=1: there is no 'second'; did you mean"),
    (["--fault", "delay,seconds=soon"], "seconds: expected a number, not 'soon'"),
    (["--fault", "delay,seconds"], "expected one of delay, status"),
    (["--fault", "delay,seconds="], "expected a number, not ''"),
    (["--fault", "delay,seconds=1e999"], "expected a number"),
    (["--fault", "delay,seconds=1,seconds=2"], "seconds=1,seconds=2: 'seconds' is there twice"),
    (["--fault", "delay,kind=hang"], "'kind' is there twice"),
    (["--fault", "hang,size=1"], "A hang fault has no size"),
    (["--fault", "delay,route=GetStatus"], "did you mean getStatus?"),
    (["--fault", "status,headers=x"], "expected a mapping, not 'x'"),
    (["--webhooks", "nowhere"], "Webhooks are called on loopback or anywhere, not 'nowhere'"),
    (["--cert", "none.pem", "--key", "none.pem"], "none.pem cannot be read: No such file"),
    (["--cert", sys.executable], "one is no PEM file"),
    (["--key", "none.pem"], "--key is the key of a certificate; name that as well (--cert)"),
    (["--ca-file", "x.pem"], "--ca-file is for the certificate that --tls makes"),
    (["--tls", "--ca-file", "/none/x.pem"], "/none/x.pem cannot be written: No such file"),
    (["--port-file", "/none/port"], "/none/port cannot be written: No such file"),
    (["--port-file", "/"], "cannot be written"),
)


def test_no_name_of_a_host() -> None:
    """A host that DNS cannot have is said to be none."""
    wanted = "cannot listen on a..b port 0: this is no name of a host"
    with pytest.raises(SetupError, match=wanted), explained("a..b", 0):
        # As the event loop does, which the tests keep from resolving names.
        "a..b".encode("idna")


@pytest.mark.parametrize(
    ("arguments", "message"),
    WRONG,
    ids=[" ".join(w[0])[:40].encode("ascii", "replace").decode() for w in WRONG],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """What is wrong is said in one sentence."""
    given = arguments if "--port" in arguments else ["--port", "0", *arguments]
    assert main(["serve", *given]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("mock-portal: ")
    assert err.count("\n") == 1
    assert message.lower() in err.lower()
    assert "Stopped" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serve", "--host", "no such host"), "cannot listen on no such host port 8089: "),
        (("serve", "--host", "a..b"), "cannot listen on a..b port 8089: "),
        (("serve", "--host", "x" * 300), "cannot listen on xxx"),
        (("serve", "--host", b"\xff"), "cannot listen on "),
        (("serve", "--scenario", b"\xff"), "There is no scenario "),
        (("record", "--host", "a..b", "--upstream", "http://127.0.0.1/"), "cannot listen on a..b"),
    ],
)
def test_mistakes_in_a_process(
    tmp_path: Path, arguments: tuple[str | bytes, ...], message: str
) -> None:
    """A host that is none, and bytes that are no text, have their sentence."""
    done = subprocess.run(  # noqa: S603  our own program
        [*PROGRAM, *arguments], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"mock-portal: {message}".encode())
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "PORT",
            "tcp://10.0.0.1:8089",
            "The variable MOCK_PORTAL_PORT cannot be 'tcp://10.0.0.1:8089': write a whole number",
        ),
        ("PORT", "99999", "There is no port 99999"),
        ("TLS", "perhaps", "The variable MOCK_PORTAL_TLS cannot be 'perhaps': write 1 or 0"),
        ("FAULT", "'delay", 'The variable MOCK_PORTAL_FAULT cannot be "\'delay"'),
        ("FAULT", "explode", "--fault explode.kind: expected one of"),
        ("DIALECT", "sms_id", "Dialect sms_id has no variant ''"),
        ("SCENARIO", "nonsense", "There is no scenario 'nonsense'"),
    ],
)
def test_mistakes_in_the_environment(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    message: str,
) -> None:
    """What is wrong in a variable is said in one sentence, too."""
    monkeypatch.setenv(f"MOCK_PORTAL_{variable}", value)
    assert main(["serve"]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--port", "soon"], ["nonsense"], ["--nonsense"], ["serve", "x"], ["record"], ["--fault"]],
)
def test_no_such_option(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """What the program does not know is refused with its usage, and exit code 2."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: mock-portal")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["record", "--port", "99999"], "There is no port 99999"),
        (["record", "--port", "-5"], "There is no port -5"),
        (["record", "--host", ""], "The host is empty"),
        (["record", "--output", "/none/x.yaml"], "/none is not a writable folder"),
        (["record", "--output", "x" * 300], "cannot be written: File name too long"),
        (["record", "--upstream", "http://["], "'http://[' is no base URL"),
        (["record", "--upstream", "https://x:99999/api"], "is no base URL"),
        (["record", "--upstream", "https://x:y/api"], "is no base URL"),
        (["record", "--upstream", "https://\udcff/api"], "is no base URL"),
        (["record", "--upstream", "nonsense"], "'nonsense' is no base URL"),
        (["record", "--upstream", ""], "'' is no base URL"),
        (["probe", "--base-url", "http://["], "'http://[' is no base URL"),
        (["probe", "--base-url", "https://x:99999/api"], "is no base URL"),
        (["probe", "--iccid", "12"], "An ICCID has 18 to 22 digits"),
        (["probe", "--report", "same.yaml", "--scenario", "./same.yaml"], "need a file each"),
        (["probe", "--report", "/none/x.yaml"], "/none is not a writable folder"),
        (["probe", "--report", "x" * 300], "x"),
        (["probe", "--allow-sms"], "A write needs --iccid"),
    ],
)
def test_mistakes_of_the_other_commands(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    """`record` and `probe` say what is wrong in one sentence, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IOT_PORTAL_API_TOKEN", "demo-token")
    command, *rest = arguments
    url = "--upstream" if command == "record" else "--base-url"
    with MockPortal.in_thread("demo") as portal:
        given = rest if url in rest else [url, portal.url, *rest]
        port = [] if command == "probe" or "--port" in rest else ["--port", "0"]
        status = main([command, *given, *port])
    err = capsys.readouterr().err
    assert status == 1
    assert err.count("\n") == 1
    assert message in err


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """A reader that leaves early leaves no traceback, and the portal goes on."""
    process = subprocess.Popen(  # noqa: S603  our own program
        [*PROGRAM, "--port", "0", "--scenario", "fleet", "--port-file", str(tmp_path / "port")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    while not (tmp_path / "port").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.terminate()
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_texts_that_a_terminal_cannot_show(tmp_path: Path, encoding: str) -> None:
    """Credentials that the terminal cannot show are escaped."""
    file = tmp_path / "scenario.json"
    accounts = {"Zoë \ud83d": {"secret_key": "😀", "api_token": "x"}}
    file.write_text(json.dumps({"extends": "demo", "accounts": accounts}))
    process = subprocess.Popen(  # noqa: S603  our own program
        [*PROGRAM, "--port", "0", "--scenario", str(file)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()
    assert any(rb"\ud83d" in line for line in lines)
