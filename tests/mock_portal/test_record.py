"""The command `record`: what is forwarded, what is written, and how it is replayed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection
import json
import os
from pathlib import Path
import re
import signal
from threading import Thread
import time
from typing import Any

from aiohttp import ClientSession, web
from hypothesis import given, settings, strategies as st
import pytest
import yaml

from mock_portal import MockPortal, Portal, Request, SetupError, Wire
from mock_portal.cli import main
from mock_portal.real.files import NewFile, to_yaml
from mock_portal.real.record import Proxy, Recorder
from mock_portal.real.redaction import Redactor, Rule
from mock_portal.real.upstream import NoReplyError, Reply, Upstream
from mock_portal.routes import ROUTES

from .conftest import Caller
from .helpers import free_port

SIM = "8931082322204500034"
SCENARIO: dict[str, Any] = {
    "extends": "demo",
    "accounts": {
        "acme-gmbh": {"secret_key": "Zaubernuss", "api_token": "Siebenschlaefer"},
    },
    "sims": {
        SIM: {
            "imsi": "204080823514892",
            "msisdn": "3197044863841",
            "imei": "8613300585142338",
            "data_usage": 12_345_678_901,
            "device": {
                "customer": "Zahnarztpraxis Dr. Müller",
                "endConsumerId": "K-4711-B",
                "username": "anna.schmidt",
                "simNotes": "Liegt im Keller, Schlüssel bei Otto",
                "fixedIPAddress": "10.77.88.99",
                "accountId": "100096903",
                "deviceID": "Aufzug Hauptstrasse",
            },
        }
    },
    "sms": [
        {
            "id": 4711,
            "iccid": SIM,
            "text": "Parole Rumpelstilzchen",
            "status": "Delivered",
            "login": "anna.schmidt",
            "sent": "-1h",
            "due": "-1h",
            "modified": "-1h",
        }
    ],
}
ORIGINALS = (
    SIM,
    *("acme-gmbh", "Zaubernuss", "Siebenschlaefer", "204080823514892", "3197044863841"),
    *("8613300585142338", "Zahnarzt", "Müller", "K-4711-B", "anna.schmidt", "Keller", "Otto"),
    *("10.77.88.99", "100.126.61.103", "100096903", "Aufzug", "Hauptstrasse", "Rumpelstilzchen"),
    *("hooks.acme.example", "q-2025-77", "Hallo Otto", "8931999999999999999"),
)
LOGIN = {"clientId": "acme-gmbh", "secretKey": "Zaubernuss"}
RECORDED = {"clientId": "recorded-client", "secretKey": "recorded-secret"}

type Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def recording(url: str, file: Path, said: list[str] | None = None) -> AsyncIterator[str]:
    """Record a portal, and yield the base URL of the proxy."""
    say = [] if said is None else said
    async with (
        Upstream(url) as upstream,
        Proxy(upstream, Recorder(NewFile(file), upstream.host), say=say.append) as proxy,
    ):
        yield proxy.url


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Run a server with the given handler, and yield its base URL."""
    runner = web.ServerRunner(web.Server(handler, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    await runner.cleanup()


def recorded_in(file: Path) -> list[dict[str, Any]]:
    """Return the exchanges in a recording."""
    return list(yaml.safe_load(file.read_text())["recorded"])


def modes_in(folder: Path) -> dict[str, int]:
    """Return the permissions of each file in a folder."""
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


async def talk(
    session: ClientSession, base: str, login: dict[str, str], iccid: str
) -> list[tuple[int, str]]:
    """Use every route for a SIM, and return statuses and bodies."""
    heard: list[tuple[int, str]] = []
    headers: dict[str, str] = {}

    async def call(method: str, path: str, body: object = None) -> str:
        data = None if body is None else json.dumps(body)
        async with session.request(method, f"{base}{path}", data=data, headers=headers) as answer:
            heard.append((answer.status, await answer.text()))
            return heard[-1][1]

    (headers["Authorization"],) = re.findall(r"[\w-]{32}", await call("POST", "/Login", login))
    for route in ("ctdUsage", "GetDevice", "sessionInfo", "getStatus", "GetSMSIds", "getstatus"):
        await call("GET", f"/{route}/{iccid}")
    await call("GET", "/GetSMS/4711")
    await call("GET", "/ctdUsage/8931999999999999999")
    await call("PUT", f"/SendSMS/{iccid}/1", {"messageText": "Hallo Otto"})
    await call("PUT", f"/EditDevice/{iccid}", {"simNotes": "Hallo Otto"})
    await call("GET", f"/GetDevice/{iccid}")
    bulk = {
        "update": {"status": "ACTIVATED"},
        "queueId": "q-2025-77",
        "webhookUrl": f"http://127.0.0.1:9/hooks.acme.example/{iccid}",
        "iccids": [iccid],
    }
    await call("PUT", "/BulkEditDevice", bulk)
    return heard


def shape(value: object) -> object:
    """Return JSON with the values replaced by their lengths."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return len(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    "dialects",
    [
        {},
        {
            "login_answer": "bare",
            "usage_body": "text_numbers",
            "sms_list": "text",
            "error_envelope": "plain",
            "write_answer": "text",
        },
        {
            "login_answer": "quoted",
            "usage_body": "data",
            "status_body": "object",
            "sms_body": "data",
            "error_envelope": "html",
        },
    ],
)
async def test_nothing_real_is_written(
    session: ClientSession, tmp_path: Path, dialects: dict[str, str]
) -> None:
    """After the use of every route, no original value is in the file or on the screen."""
    file, said = tmp_path / "bug.yaml", list[str]()
    async with (
        MockPortal(SCENARIO, dialects=dialects) as portal,
        recording(portal.url, file, said) as url,
    ):
        async with session.post(f"{url}/Login", json={"apiToken": "Siebenschlaefer"}) as answer:
            assert answer.status == 200
        await talk(session, url, LOGIN, SIM)
        tokens = list(portal.state.tokens)
    written = file.read_text() + "".join(said)
    assert len(tokens) == 2
    assert [each for each in (*ORIGINALS, *tokens) if each in written] == []
    assert "12345678901" in written, "a counter is what a bug report is about"
    assert written.count("{{token}}") == 2
    assert modes_in(tmp_path) == {"bug.yaml": 0o600}


async def test_made_up_values_are_consistent(session: ClientSession, tmp_path: Path) -> None:
    """The same value is replaced by the same one, in paths, bodies and error messages."""
    file = tmp_path / "bug.yaml"
    async with MockPortal(SCENARIO) as portal, recording(portal.url, file) as url:
        await talk(session, url, LOGIN, SIM)
    login, usage, device, online, _, _, lost, sms, unknown, *_, bulk = recorded_in(file)
    iccid = device["path"].removeprefix("/GetDevice/")
    assert re.fullmatch(r"89\d{17}", iccid)
    assert luhn(iccid)
    assert lost["path"] == f"/getstatus/{iccid}"
    assert iccid in lost["body"]
    assert unknown["path"].removeprefix("/ctdUsage/") in unknown["body"]
    told = json.loads(device["body"])
    assert json.loads(usage["body"])[0]["imsi"] == told["imsi"]
    assert json.loads(online["body"])["iccid"] == told["iccid"] == iccid
    assert json.loads(sms["body"])["sentTo"] == told["msisdn"]
    assert json.loads(sms["body"])["senderLogin"] == told["username"]
    sent = json.loads(bulk["sent"])
    assert sent["iccids"] == [iccid]
    assert sent["webhookUrl"].endswith(iccid)
    assert sent["webhookUrl"].startswith("http://")
    assert json.loads(login["sent"])["secretKey"] == "***"


def luhn(number: str) -> bool:
    """Return whether the check digit is valid."""
    total = 0
    for index, digit in enumerate(reversed(number)):
        doubled = int(digit) * (1 + index % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


async def test_replay(session: ClientSession, tmp_path: Path) -> None:
    """The replayed recording gives the same answers, after a log-in with its credentials."""
    file = tmp_path / "bug.yaml"
    async with MockPortal(SCENARIO) as portal, recording(portal.url, file) as url:
        first = await talk(session, url, LOGIN, SIM)
    iccid = recorded_in(file)[1]["path"].removeprefix("/ctdUsage/")
    async with MockPortal(file) as portal:
        second = await talk(session, portal.url, RECORDED, iccid)
        caller = Caller(portal=portal, session=session)
        assert (await caller.call("POST", "/Login", LOGIN)).status == 401
        assert (await caller.get(f"/getStatus/{iccid}")).status == 401
        caller.token = next(iter(portal.state.tokens))
        answer = await caller.get(f"/getStatus/{iccid}")
        assert (answer.text, answer.headers["X-Mock-Portal"]) == ("ACTIVATED", "recorded")
        assert (await caller.get("/getStatus/8931082322089353632")).status == 404
    assert [status for status, _ in first] == [status for status, _ in second]
    for (_, one), (_, other) in zip(first[:8] + first[9:], second[:8] + second[9:], strict=True):
        assert shape(parse(one)) == shape(parse(other))


def parse(body: str) -> object:
    """Return the body as JSON if possible, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def test_order_of_replay() -> None:
    """Answers come in order, the last one repeats, and a snapshot keeps the position."""
    answers = [{"body": "INVENTORY"}, {"body": "TRIAL"}, {"body": "ACTIVATED"}]
    portal = Portal(
        {
            "extends": "documented",
            "recorded": [
                {"method": "GET", "path": "/getStatus/1", "status": 200, **answer}
                for answer in answers
            ],
        }
    )
    login = json.dumps({"apiToken": "demo-token"}).encode()
    portal.handle(Request(method="POST", path="/api/Login", body=login))
    (token,) = portal.state.tokens

    def read() -> bytes:
        headers = {"Authorization": token}
        return portal.handle(Request(method="GET", path="/apiv2/getStatus/1", headers=headers)).body

    assert read() == b"INVENTORY"
    snapshot = portal.snapshot()
    assert [read(), read(), read()] == [b"TRIAL", b"ACTIVATED", b"ACTIVATED"]
    portal.restore(snapshot)
    assert read() == b"TRIAL"
    portal.reset()
    assert portal.recordings.left()[0].body == "INVENTORY"


async def test_bytes_pass_unchanged(session: ClientSession, tmp_path: Path) -> None:
    """Method, path, query, headers, status and bodies are forwarded unchanged; redirects are not followed."""
    heard: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        heard.append((request.method, request.raw_path, dict(request.headers), body))
        response = web.Response(status=302, reason="Look There", body=b"\xff\x00odd")
        response.headers.extend(
            [("Location", "/api/else"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        )
        return response

    file = tmp_path / "bug.yaml"
    async with (
        serving(answer) as base,
        recording(base, file) as url,
        session.request(
            "PATCH",
            f"{url}/x%20y/8931082322089353632?q=8931082322089353632&status=TRIAL",
            data=b"\x80binary",
            headers={"Authorization": "Bearer top-secret", "X-Odd": "1", "Accept-Encoding": "br"},
            allow_redirects=False,
        ) as response,
    ):
        assert (response.status, response.reason) == (302, "Look There")
        assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert await response.read() == b"\xff\x00odd"
    ((method, path, headers, body),) = heard
    assert (method, body) == ("PATCH", b"\x80binary")
    assert path == "/api/x%20y/8931082322089353632?q=8931082322089353632&status=TRIAL"
    assert (headers["Authorization"], headers["X-Odd"]) == ("Bearer top-secret", "1")
    assert "Accept-Encoding" not in headers
    (recorded,) = recorded_in(file)
    iccid = recorded["path"].removeprefix("/x y/")
    assert recorded["query"] == {"q": iccid, "status": "TRIAL"}
    assert re.fullmatch(r"/[a-z]{3}/[a-z]{4}", recorded["headers"]["Location"])
    assert recorded["is_latin1"]
    replayed = Portal(file).recordings.left()[0].replay("")
    assert (replayed.status, len(replayed.body)) == (302, 5)


async def test_compressed_answers(session: ClientSession, tmp_path: Path) -> None:
    """A compressed answer is forwarded, but not recorded."""

    async def answer(_: web.BaseRequest) -> web.Response:
        response = web.Response(body=b'{"customer": "ACME"}', content_type="application/json")
        response.enable_compression(web.ContentCoding.gzip)
        return response

    file = tmp_path / "bug.yaml"
    async with (
        serving(answer) as base,
        recording(base, file) as url,
        session.get(f"{url}/GetDevice/1") as response,
    ):
        assert await response.json() == {"customer": "ACME"}
    assert "body" not in recorded_in(file)[0]


@pytest.mark.parametrize("fault", ["reset_after_read", "truncated_body"])
async def test_no_answer(tmp_path: Path, fault: str) -> None:
    """A broken connection is forwarded as such after a single request, and replayed as such."""
    file, said = tmp_path / "bug.yaml", list[str]()
    async with (
        MockPortal(SCENARIO) as portal,
        recording(portal.url, file, said) as url,
        Upstream(url) as client,
    ):
        login = await client.send("POST", "/api/Login", body=json.dumps(LOGIN).encode())
        headers = [("Authorization", json.loads(login.body)["data"]["token"])]
        portal.faults.add(fault, route="SendSMS")
        with pytest.raises(NoReplyError):
            await client.send("PUT", f"/api/SendSMS/{SIM}/1", headers, b'{"messageText": "Hi"}')
    portal.journal.assert_called_once("PUT", "/SendSMS/*")
    assert said[-1].endswith("-> no answer")
    assert Portal(file).recordings.left()[-1].replay("").wire is Wire.RESET


async def test_an_answer_that_takes_too_long(tmp_path: Path) -> None:
    """A request that takes too long ends with an error."""
    async with MockPortal() as portal, Upstream(portal.url, seconds=0.05) as client:
        portal.faults.add("hang")
        with pytest.raises(NoReplyError, match="no answer in time"):
            await client.send("GET", "/api/getStatus/1")


async def test_nobody_listens() -> None:
    """An unreachable portal is reported as a missing answer."""
    async with Upstream(f"http://127.0.0.1:{free_port()}/api") as client:
        with pytest.raises(NoReplyError, match="Cannot connect"):
            await client.send("GET", "/api/getStatus/1")


def test_paths_below_the_base_url() -> None:
    """A path is recorded relative to the base URL."""
    upstream = Upstream("https://example.org/api/")
    assert upstream.below("/api/getStatus/1") == "/getStatus/1"
    assert upstream.below("/apiv2/getStatus/1") == "/apiv2/getStatus/1"
    assert Upstream("https://example.org").below("/getStatus/1") == "/getStatus/1"


def exchange(recorder: Recorder, path: str, body: bytes = b"{}") -> str:
    """Record a read."""
    request = Request(method="GET", path=path)
    return recorder.record(request, Reply(status=200, body=body), 0.0)


def test_a_full_file(tmp_path: Path) -> None:
    """A recording at its size limit stays unchanged, and later exchanges are reported as not recorded."""
    file = tmp_path / "bug.yaml"
    recorder = Recorder(NewFile(file), most_characters=2000)
    assert exchange(recorder, "/RuleUpdate") == "GET /RuleUpdate -> 200"
    assert "the file is full" in exchange(recorder, "/RuleUpdate", b"x" * 3000)
    assert "the file is full" in exchange(recorder, "/RuleUpdate")
    assert (recorder.count, len(recorded_in(file))) == (1, 1)


async def test_a_full_disk(
    session: ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file cannot be written the client still gets its answer, and the next write is complete."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    file, said = tmp_path / "bug.yaml", list[str]()
    async with MockPortal() as portal, recording(portal.url, file, said) as url:
        with monkeypatch.context() as full:
            full.setattr("mock_portal.files.mkstemp", refuse)
            async with session.get(f"{url}/getStatus/1") as answer:
                assert answer.status == 401
        assert "No space left" in said[-1]
        await session.get(f"{url}/getStatus/1")
    assert len(recorded_in(file)) == 2


@pytest.mark.parametrize(
    ("body", "route", "left", "gone"),
    [
        ('{"data": {"jwt": "abcdef", "expires": "2025-01-31T12:00:00Z"}}', "Login",
         '{"data": {"jwt": "{{token}}", "expires": "2025-01-31T12:00:00Z"}}', "abcdef"),
        ("abcdef", "Login", "{{token}}", "abcdef"),
        ('"abcdef"', "Login", '"{{token}}"', "abcdef"),
        ('{"data": {"token": 123456}}', "Login", '{"data": {"token": "{{token}}"}}', "123456"),
        ("<html>Down for maintenance</html>", "Login", "<html>Down for maintenance</html>", "@"),
        ('{"token": {"value": "abcdef"}}', "GetDevice", '{"token": {"value": "***"}}', "abcdef"),
        ("Not active", "getStatus", "Not active", "@"),
        ('{"simStatus": "Active"}', "getStatus", '{"simStatus": "Active"}', "@"),
        ('{"data": "Active"}', "getStatus", '{"data": "Active"}', "@"),
        ("[4711, 4712]", "GetSMSIds", "[4711, 4712]", "@"),
        ('{"data": [4711]}', "GetSMSIds", '{"data": [4711]}', "@"),
        ('{"ctdDataUsage": 98765432109}', "ctdUsage", '{"ctdDataUsage": 98765432109}', "@"),
        ('{"ctdDataUsage": "0"}', "ctdUsage", '{"ctdDataUsage": "0"}', "@"),
        ("OK", "RuleUpdate", "OK", "@"),
        ('{"errorCode": "10000030"}', "GetDevice", '{"errorCode": "10000030"}', "@"),
        ('{"isshared": "False", "fixedIPAddress": "0.0.0.0"}', "GetDevice",
         '{"isshared": "False", "fixedIPAddress": "0.0.0.0"}', "@"),
        ('{"customer": "ACME", "n": 12}', "GetDevice", None, "ACME"),
        ('{"customer": "\\u0041CME"}', "GetDevice", None, "CME"),
        ('[{"customer": "AC', "GetDevice", None, "AC"),
        ("[{'customer': nobody@example.org}]", "GetDevice", None, "nobody@"),
        ('{"account": 123456789, "cost": 12.75}', "GetDevice", None, "123456789"),
        ('{"account": 123456789, "cost": 12.75}', "GetDevice", None, "12.75"),
        ('{"a": {"customer": ["ACME", {"status": "TRIAL", "x": "ACME"}]}}', "GetDevice", None, "ACME"),
        ('{"8931082322089353632": true}', "BulkEditDevice", None, "8931082322089353632"),
        ("ask 10.1.2.3 or anna@example.org.", "RuleUpdate", None, "10.1.2.3"),
        ("ask 10.1.2.3 or anna@example.org.", "RuleUpdate", None, "anna"),
        ("}]", "RuleUpdate", "}]", "@"),
        ("", "getStatus", "", "@"),
    ],
)  # fmt: skip
def test_answers(body: str, route: str, left: str | None, gone: str) -> None:
    """Harmless values stay; others are replaced by values of the same form and length."""
    redacted = Redactor().answered(body, route, 200)
    assert left is None or redacted == left
    assert gone not in redacted
    assert left is not None or "\\u" in body or len(redacted) == len(body)


_KEYS = ("iccid", "status", "customer", "data", "token", "messageText", "ctdDataUsage", "message")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_KEYS) | st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(_JSON, st.sampled_from([*ROUTES, None]), st.sampled_from([200, 404]))
def test_any_json(value: object, route: str | None, status: int) -> None:
    """JSON stays JSON, with as many fields and items."""
    body = json.dumps({"data": value}, ensure_ascii=False)
    assert count(json.loads(Redactor().answered(body, route, status))) == count({"data": value})


def count(value: object) -> list[object]:
    """Return how many fields and items there are, level by level."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [len(value), *(count(item) for item in items)]
    return []


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='{}[]",:\\ a1.-'))
def test_what_is_almost_json(body: str) -> None:
    """The redactor raises no error for any input."""
    assert isinstance(Redactor().answered(body, "GetDevice", 200), str)


@settings(max_examples=100, deadline=None)
@given(st.text() | st.text(alphabet="\n\r\t :-#|>'\"{}0\x85\u2028\ufeff\x00"))
def test_any_text_in_a_file(text: str) -> None:
    """A written file can be read back unchanged."""
    assert yaml.safe_load(to_yaml({"body": text, "more": [text]})) == {"body": text, "more": [text]}


def test_errors_keep_their_words() -> None:
    """An error message stays, with earlier replacements applied."""
    redactor = Redactor()
    redactor.sent('{"clientId": "acme-gmbh", "secretKey": "Zaubernuss"}')
    redactor.keep_secret("t0ken+/=")
    redactor.keep_secret("")
    error = '{"errorMessage": "acme-gmbh may not use Zaubernuss or t0ken+/= for acme-gmbhs"}'
    redacted = json.loads(redactor.answered(error, "Login", 401))["errorMessage"]
    client_id = redactor.fake("acme-gmbh")
    assert redacted == f"{client_id} may not use *** or *** for acme-gmbhs"


def test_fakes() -> None:
    """Made-up values have the form of the real ones, differ from them and from each other."""
    redactor = Redactor()
    assert redactor.fake("8931082322089353632") == redactor.fake("8931082322089353632")
    assert luhn(redactor.fake("8931082322089353632"))
    assert not luhn(redactor.fake("8931082322089353633"))
    assert re.fullmatch(r"\d{1}\.\d{2}\.\d{3}\.\d{1}", redactor.fake("1.22.133.4"))
    assert re.fullmatch(
        r"https://[a-z]{4}\.[a-z]{3}/[A-Z]\?[a-z]=\d", redactor.fake("https://acme.org/A?b=1")
    )
    assert re.fullmatch(r"0\d{3}", redactor.fake("0123"))
    assert redactor.fake("--") == "--"
    made = {redactor.fake(letter) for letter in "abcdefghij"}
    assert len(made) == 10


def test_paths() -> None:
    """A path keeps its route; its values are replaced."""
    redactor = Redactor()
    sim = redactor.fake("my-sim")
    assert redactor.path("PUT", "/SendSMS/my-sim/1") == f"/SendSMS/{sim}/1"
    assert redactor.path("GET", "/GetSMS/4711") == "/GetSMS/4711"
    assert redactor.query({"iccid": "my-sim"}) == {"iccid": sim}
    assert redactor.value("x", Rule.GONE) == "***"


def test_new_files(tmp_path: Path) -> None:
    """An existing file is not changed, and the folder must exist."""
    with pytest.raises(SetupError, match="is not a writable folder"):
        NewFile(tmp_path / "missing" / "bug.yaml")
    (tmp_path / "bug.yaml").write_text("mine")
    with pytest.raises(SetupError, match="exists already"):
        NewFile(tmp_path / "bug.yaml")


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command records until Ctrl-C, and prints the name of the file."""
    port, file = free_port(), tmp_path / "bug.yaml"

    def use() -> None:
        for _ in range(300):
            try:
                connection = HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/api/getStatus/8931082322089353632")
                assert connection.getresponse().status == 401
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    with MockPortal.in_thread() as portal:
        user = Thread(target=use)
        user.start()
        options = ["--upstream", portal.url, "--port", str(port), "--output", str(file)]
        assert main(["record", *options]) == 0
        user.join()
    out = capsys.readouterr().out
    assert out.startswith(f"Base URL  http://127.0.0.1:{port}/api\nRecording {file}\n")
    assert "Stopped after 1 exchanges." in out
    assert len(recorded_in(file)) == 1


def test_port_in_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A port in use is reported in one sentence."""
    with MockPortal.in_thread() as portal:
        port = portal.url.split(":")[2].removesuffix("/api")
        options = ["--upstream", portal.url, "--port", port, "--output", str(tmp_path / "b.yaml")]
        assert main(["record", *options]) == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
