"""Filters that no request can match are refused, wherever they are given."""

from typing import Any
from urllib.parse import urlencode

import pytest

from mock_portal import Portal, Request, SetupError

from .conftest import ACTIVE, DOCUMENTED, Caller

UNKNOWN = "8931082322204599999"
SMS = f"/SendSMS/{ACTIVE}/1"

# What nobody can ask for, and a part of the sentence that refuses it.
IMPOSSIBLE = [
    ({"method": "put"}, "No route has the method 'put'; did you mean PUT?"),
    ({"method": "FOO"}, "No route has the method 'FOO'; there are POST, GET, PUT"),
    ({"method": ""}, "No route has the method ''"),
    ({"method": "*"}, "No route has the method '*'"),
    ({"method": "DELETE"}, "No route has the method 'DELETE'"),
    ({"path": "SendSMS/*"}, "did you mean '/SendSMS/*'?"),
    ({"path": "/SendSMS"}, "did you mean '/SendSMS/*'?"),
    ({"path": "/SendSMS/"}, "did you mean '/SendSMS/*'?"),
    ({"path": "/sendSMS/*"}, "did you mean '/SendSMS/*'?"),
    ({"path": "/SENDSMS/*"}, "did you mean '/SendSMS/*'?"),
    ({"path": "/SendSMS/{ICCID}/1"}, "did you mean '/SendSMS/*/1'?"),
    ({"path": "/SendSMS/:iccid/1"}, "did you mean '/SendSMS/*/1'?"),
    ({"path": f"/SendSMS/{ACTIVE}"}, f"did you mean '/SendSMS/{ACTIVE}/*'?"),
    ({"path": f"{SMS}/"}, f"did you mean '{SMS}'?"),
    ({"path": f"{SMS}/2"}, f"did you mean '{SMS}'?"),
    ({"path": f"/SendSMS/{ACTIVE}/v1"}, f"did you mean '/SendSMS/{ACTIVE}/*'?"),
    ({"path": f"{SMS}?x=1"}, f"did you mean '{SMS}'?"),
    ({"path": f"{SMS}#top"}, f"did you mean '{SMS}'?"),
    ({"path": f"https://api.iotportal.io/api{SMS}"}, f"did you mean '{SMS}'?"),
    ({"path": f"http://127.0.0.1:8089/api{SMS}"}, f"did you mean '{SMS}'?"),
    ({"path": f"/API{SMS}"}, "there are /Login, /ctdUsage/{ICCID}"),
    ({"path": f"/api/api{SMS}"}, "there are /Login"),
    ({"path": "/Send%53MS/*"}, "did you mean '/SendSMS/*'?"),
    ({"path": f"/getStatus/%38{ACTIVE[1:]}"}, f"did you mean '/getStatus/{ACTIVE}'?"),
    ({"path": f"/getStatus/{ACTIVE}\n"}, "'/getStatus/"),
    ({"path": "/getStatus/?????????????????18"}, "did you mean '/getStatus/*'?"),
    ({"path": "/login"}, "did you mean '/Login'?"),
    ({"path": "/Login/*"}, "did you mean '/Login'?"),
    ({"path": "/GetSMS/abc"}, "did you mean '/GetSMS/*'?"),
    ({"path": "/zzz/*"}, "there are /Login"),
    ({"path": ""}, "there are /Login"),
    ({"path": "/"}, "there are /Login"),
    ({"path": f"/getStatus/{UNKNOWN}"}, "allows; did you mean 89310823222045"),
    ({"path": "/getStatus/8931*9999"}, "There is no SIM 8931*9999, which"),
    ({"path": "/getStatus/1"}, f"there are {DOCUMENTED}, {ACTIVE}, "),
    ({"path": "/getStatus/1"}, "which only unknown_sim allows"),
    ({"iccid": UNKNOWN}, f"There is no SIM {UNKNOWN}, which"),
    ({"iccid": ""}, "There is no SIM , which"),
    ({"route": "GetStatus"}, "There is no route 'GetStatus'; did you mean getStatus?"),
    ({"route": "/SendSMS"}, "did you mean SendSMS?"),
    ({"route": ""}, "There is no route ''"),
    ({"method": "GET", "path": "/SendSMS/*"}, "SendSMS is PUT /SendSMS/{ICCID}/{apiVersion}"),
    ({"method": "GET", "route": "SendSMS"}, "match GET route SendSMS: SendSMS is PUT"),
    ({"route": "Login", "iccid": ACTIVE}, f"match route Login iccid {ACTIVE}: Login is POST"),
    ({"path": f"/getStatus/{DOCUMENTED}", "iccid": ACTIVE}, "getStatus is GET /getStatus/{ICCID}"),
    ({"route": "getStatus", "path": "/SendSMS/*"}, "getStatus is GET"),
    ({"method": "PUT", "path": "*1", "route": "getStatus"}, "getStatus is GET"),
    ({"method": "POST", "path": "*/1"}, "No request can match POST */1: leave one out"),
    ({"method": "POST", "iccid": ACTIVE}, f"match POST iccid {ACTIVE}: leave one out"),
]
POSSIBLE: list[dict[str, Any]] = [
    {},
    {"method": "PUT"},
    {"path": "*"},
    {"path": "/SendSMS/*"},
    {"path": "/SendSMS/*/1"},
    {"path": "*/1"},
    {"path": "/S*MS/*"},
    {"path": f"*{ACTIVE}*"},
    {"path": f"/api{SMS}"},
    {"path": f"/apiv2{SMS}"},
    {"path": "/api/*"},
    {"path": "/GetSMS/4711"},
    {"path": "/GetSMS/47*"},
    {"path": "/GetSMS/4*1"},
    {"path": "/BulkEditDevice"},
    {"route": "GetSMS"},
    {"iccid": ACTIVE},
    {"method": "PUT", "path": "/SendSMS/*", "route": "SendSMS", "iccid": ACTIVE},
    {"path": f"/getStatus/{UNKNOWN}", "unknown_sim": True},
    {"iccid": UNKNOWN, "unknown_sim": True},
    {"method": "PUT", "iccid": ACTIVE},
    {"path": "/getStatus/*", "iccid": UNKNOWN, "unknown_sim": True},
]


@pytest.mark.parametrize(("asked", "part"), IMPOSSIBLE)
async def test_impossible(caller: Caller, asked: dict[str, Any], part: str) -> None:
    """The journal refuses what no request can match, in Python and over HTTP, and says what was meant."""
    await caller.put(SMS, {"messageText": "Hello"})
    with pytest.raises(SetupError) as refused:
        caller.portal.journal.find(**asked)
    assert part in str(refused.value)
    answer = await caller.control("GET", f"journal?{urlencode(asked)}")
    assert (answer.status, answer.json["error"]) == (400, str(refused.value))
    method, path = asked.get("method", "PUT"), asked.get("path", "*")
    if not {"route", "iccid"} & set(asked):
        with pytest.raises(SetupError):
            caller.portal.journal.assert_not_called(method, path)


@pytest.mark.parametrize("asked", POSSIBLE)
def test_possible(asked: dict[str, Any]) -> None:
    """A filter that a request can match finds nothing while there is none."""
    assert Portal("demo").journal.find(**asked) == []


def test_without_any_sim() -> None:
    """In a portal without SIMs, routes can be asked for, and SIMs cannot."""
    portal = Portal({})
    assert portal.journal.find("GET", "/getStatus/*") == portal.journal.find(route="ctdUsage") == []
    portal.faults.add("hang", route="getStatus")
    with pytest.raises(SetupError, match=f"There is no SIM {ACTIVE}, .* there are none"):
        portal.journal.find("GET", f"/getStatus/{ACTIVE}")


@pytest.mark.parametrize(
    "asked", [{"method": 7}, {"path": None}, {"path": ["/Login"]}, {"iccid": 1.5}]
)
def test_wrong_types(asked: dict[str, Any]) -> None:
    """A value of the wrong type is refused with a sentence."""
    with pytest.raises(SetupError, match=r"expected a text|No route has the method '7'"):
        Portal("demo").journal.find(**asked)


async def test_what_was_really_asked_can_be_found(caller: Caller) -> None:
    """A client's mistakes can be looked for by the path, and are in the near misses."""
    await caller.get("/GetStatus/1")
    await caller.get(f"/getStatus/{UNKNOWN}")
    journal = caller.portal.journal
    assert len(journal.find("GET", "/GetStatus/*")) == 1
    assert len(journal.find(iccid=UNKNOWN)) == 1
    assert [miss.path for miss in journal.near_misses] == ["/GetStatus/1"]


def test_a_forgotten_prefix_is_no_call() -> None:
    """A request outside the base URL does not count as one of the route that it resembles."""
    portal = Portal("demo")
    portal.handle(Request(method="GET", path=f"/getStatus/{ACTIVE}"))
    assert portal.journal.find("GET", "/getStatus/*") == []
    assert portal.journal.find("GET", f"/getStatus/{ACTIVE}") == []
    assert len(portal.journal.find("GET", "*")) == 1
    assert portal.journal.near_misses[0].path == f"/getStatus/{ACTIVE}"


def test_recorded_sims_are_known() -> None:
    """The SIMs of recorded answers can be asked for."""
    recorded = [{"method": "GET", "path": f"/getStatus/{UNKNOWN}", "status": 200, "body": "X"}]
    portal = Portal({"extends": "documented", "recorded": recorded})
    assert portal.journal.find("GET", f"/getStatus/{UNKNOWN}") == []
    portal.faults.add("hang", iccid=UNKNOWN)


def test_a_large_fleet() -> None:
    """The SIMs of a large fleet are not all named in an error."""
    portal = Portal({"extends": "fleet", "fleet": {"count": 3000}})
    with pytest.raises(SetupError, match=r"there are 8931.* and 2961 more$"):
        portal.journal.find("GET", f"/getStatus/{UNKNOWN}")


@pytest.mark.parametrize(("asked", "part"), [each for each in IMPOSSIBLE if "path" not in each[0]])
async def test_faults(caller: Caller, asked: dict[str, Any], part: str) -> None:
    """A fault that can never hit is refused, in Python, over HTTP and in a scenario."""
    with pytest.raises(SetupError) as refused:
        caller.portal.faults.add("hang", **asked)
    assert part in str(refused.value)
    answer = await caller.control("POST", "faults", {"kind": "hang", **asked})
    assert answer.status == 400
    assert part in answer.json["error"]
    with pytest.raises(SetupError) as refused:
        Portal({"extends": "demo", "faults": [{"kind": "hang", **asked}]})
    assert part in str(refused.value)
    assert len(caller.portal.faults) == 0


def test_a_fault_for_another_sim() -> None:
    """A fault may hit a SIM of the same scenario, and an unknown one if it says so."""
    portal = Portal("demo")
    portal.faults.add("status", status=418, iccid=UNKNOWN, unknown_sim=True)
    request = Request(method="GET", path=f"/api/getStatus/{UNKNOWN}")
    assert portal.handle(request).status == 418
    other = Portal({"sims": {UNKNOWN: {}}, "faults": [{"kind": "hang", "iccid": UNKNOWN}]})
    other.restore(other.snapshot())
    assert [fault.iccid for fault in other.faults] == [UNKNOWN]
