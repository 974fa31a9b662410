"""How SIMs, text messages and bulk edits change over the virtual time."""

from datetime import UTC, datetime

import pytest

from mock_portal import MockPortal, SetupError, Sim

from .conftest import ACTIVE, DOCUMENTED, Caller

DAY = 24 * 3600


@pytest.fixture
async def sim(portal: MockPortal) -> Sim:
    """Return a SIM without planned events, at noon of 30 January."""
    portal.clock.set(datetime(2025, 1, 30, 12, tzinfo=UTC))
    return portal.state.add_sim(Sim(iccid="8931000000000000008"))


async def test_usage_grows_while_active(portal: MockPortal, sim: Sim) -> None:
    """Data grows at its rate, and stops when the SIM is deactivated."""
    sim.bytes_per_second = 1000
    sim.set_status("DEACTIVATED", after=60)
    portal.clock.advance(30)
    assert sim.data_usage == 30_000
    portal.clock.advance(3600)
    assert sim.data_usage == 60_000
    sim.set_status("ACTIVATED")
    portal.clock.advance(1)
    assert sim.data_usage == 61_000


async def test_usage_is_posted_late(portal: MockPortal, sim: Sim) -> None:
    """Data shows every so many seconds, and when a session ends."""
    sim.bytes_per_second, sim.posted_every = 10, 900
    portal.clock.advance(899)
    assert sim.data_usage == 0
    portal.clock.advance(1)
    assert sim.data_usage == 9000
    sim.open_session()
    portal.clock.advance(5)
    assert sim.data_usage == 9000
    sim.close_session()
    assert sim.data_usage == 9050


async def test_cycle_rolls_over(portal: MockPortal, sim: Sim) -> None:
    """At midnight of the cycle day all counters start again."""
    sim.data_usage, sim.sms_usage, sim.voice_usage, sim.session_count = 500, 5, 60, 9
    portal.clock.set(datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC))
    assert sim.data_usage == 500
    portal.clock.advance(1)
    assert (sim.data_usage, sim.sms_usage, sim.voice_usage, sim.session_count) == (0, 0, 0, 0)


async def test_usage_grows_on_in_the_new_cycle(portal: MockPortal, sim: Sim) -> None:
    """After a jump over several cycles, the usage is that of the last cycle."""
    sim.bytes_per_second, sim.cycle_day, sim.session_count = 1, 31, None
    portal.clock.set(datetime(2025, 3, 1, tzinfo=UTC))
    assert sim.data_usage == DAY, "the short month's cycle begins on its last day"
    assert sim.session_count is None
    portal.clock.set(datetime(2026, 1, 2, tzinfo=UTC))
    assert sim.data_usage == 2 * DAY


async def test_sessions(portal: MockPortal, sim: Sim) -> None:
    """A session opens and closes, and ends when the SIM is deactivated."""
    sim.open_session("10.0.0.1", after=10)
    sim.close_session(after=20)
    assert not sim.in_session
    portal.clock.advance(10)
    assert (sim.in_session, sim.ip_address, sim.session_count) == (True, "10.0.0.1", 1)
    portal.clock.advance(10)
    assert not sim.in_session
    assert sim.session_ended == portal.clock.now()
    sim.open_session()
    assert (sim.in_session, sim.ip_address, sim.session_count) == (True, "10.0.0.1", 2)
    sim.set_status("DEACTIVATED")
    assert not sim.in_session


async def test_first_session_activates(sim: Sim) -> None:
    """A SIM that is ready for activation is activated by its first session."""
    sim.set_status("ACTIVATION_READY")
    sim.open_session()
    assert sim.status == "ACTIVATED"
    assert sim.date_activated == sim.clock.now()
    assert sim.ip_address


async def test_new_device(portal: MockPortal, sim: Sim) -> None:
    """A SIM moves to another device at its time."""
    old = sim.imei
    sim.swap_imei("3569380012345678", after=60)
    assert sim.imei == old
    portal.clock.advance(60)
    assert sim.imei == "3569380012345678"
    assert sim.date_updated == portal.clock.now()


async def test_correction(portal: MockPortal, sim: Sim) -> None:
    """A correction takes data off the usage within a cycle, but never more than there is."""
    sim.data_usage = 400_000_000
    sim.correct_usage(1000, after=60)
    assert sim.data_usage == 400_000_000
    portal.clock.advance(60)
    assert sim.data_usage == 399_999_000
    sim.correct_usage(10**12)
    assert sim.data_usage == 0


async def test_null_between_two_readings(caller: Caller) -> None:
    """Placeholders stand in for fields for a number of reads, and such an answer is assumed."""
    sim, path = caller.portal.sims[DOCUMENTED], f"/ctdUsage/{DOCUMENTED}"
    sim.data_usage, sim.placeholders, sim.placeholder_reads = 5, {"ctdDataUsage": None}, 1
    # A device has no such field.
    assert not (await caller.get(f"/GetDevice/{DOCUMENTED}")).is_assumed
    first, second = await caller.get(path), await caller.get(path)
    assert (first.json[0]["ctdDataUsage"], first.is_assumed) == (None, True)
    assert (second.json[0]["ctdDataUsage"], second.is_assumed) == (5, False)


async def test_placeholders(caller: Caller) -> None:
    """Placeholders stand in wherever an answer has their field, until they are taken away."""
    sim = caller.portal.sims[DOCUMENTED]
    path = f"sims/{DOCUMENTED}"
    zeros = {"imei": "000000000000000", "dateSessionEnded": "0001-01-01 00:00:00.000+0000"}
    await caller.control("PATCH", path, {"placeholders": zeros})
    for _ in range(2):
        assert (await caller.get(f"/ctdUsage/{DOCUMENTED}")).json[0]["imei"] == zeros["imei"]
        assert (await caller.get(f"/GetDevice/{DOCUMENTED}")).json["imei"] == zeros["imei"]
        session = (await caller.get(f"/sessionInfo/{DOCUMENTED}")).json
        assert session["dateSessionEnded"] == zeros["dateSessionEnded"]
    await caller.control("PATCH", path, {"placeholders": {}})
    assert (await caller.get(f"/GetDevice/{DOCUMENTED}")).json["imei"] == sim.imei


async def test_clock_set_back(portal: MockPortal, sim: Sim) -> None:
    """After the clock was set back, usage grows on at once."""
    sim.bytes_per_second = 1
    portal.clock.set(datetime(2025, 1, 20, tzinfo=UTC))
    portal.clock.advance(60)
    assert sim.data_usage == 60


async def test_text_messages(caller: Caller) -> None:
    """A message can be read by its id, pending and delivered, and is in the SIM's list."""
    sim, clock = caller.portal.sims[ACTIVE], caller.portal.clock
    before = sim.sms_usage
    answer = await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})
    path = f"/GetSMS/{answer.json['smsMsgId']}"
    sent = (await caller.get(path)).json
    assert (sent["status"], sent["msgType"], sent["sentTo"]) == ("Pending", "MT", sim.msisdn)
    assert (sent["senderLogin"], sent["dateReceived"]) == ("demo-client", None)
    clock.advance(5)
    delivered = (await caller.get(path)).json
    assert delivered["status"] == "Delivered"
    assert delivered["dateReceived"] == delivered["dateModified"] != delivered["dateSent"]
    incoming = caller.portal.state.receive_sms(ACTIVE, "Pump is on")
    received = (await caller.get(f"/GetSMS/{incoming.id}")).json
    assert received | {"dateSent": "", "dateReceived": "", "dateModified": ""} == {
        "smsMsgId": 4712,
        "status": "Received",
        "messageText": "Pump is on",
        "senderLogin": "Mobile Device",
        "iccid": ACTIVE,
        "sentTo": "Server",
        "sentFrom": sim.msisdn,
        "msgType": "MO",
        "dateSent": "",
        "dateReceived": "",
        "dateModified": "",
    }
    assert (await caller.get(f"/GetSMSIds/{ACTIVE}")).json["smsMsgIds"] == [4711, 4712]
    assert (await caller.get(f"/GetSMSIds/{DOCUMENTED}")).json["smsMsgIds"] == []
    assert sim.sms_usage == before + 2


async def test_message_to_a_sleeping_sim(caller: Caller) -> None:
    """A message to a SIM that is not active fails, and is not counted."""
    await caller.put(f"/SendSMS/{DOCUMENTED}/1", {"messageText": "Hello"})
    caller.portal.clock.advance(5)
    assert (await caller.get("/GetSMS/4711")).json["status"] == "Failed"
    assert (await caller.get(f"/ctdUsage/{DOCUMENTED}")).json[0]["ctdSMSUsage"] == 0


async def test_message_from_nowhere(portal: MockPortal) -> None:
    """A received message needs an existing SIM."""
    with pytest.raises(SetupError, match="There is no SIM 1"):
        portal.state.receive_sms("1", "Hello")


async def test_message_overtaken_by_its_sims_end(caller: Caller) -> None:
    """The status at the time of delivery counts."""
    await caller.put(f"/SendSMS/{ACTIVE}/1", {"messageText": "Hello"})
    caller.portal.sims[ACTIVE].set_status("DEACTIVATED", after=3)
    caller.portal.sims[ACTIVE].set_status("ACTIVATED", after=8)
    caller.portal.clock.advance(60)
    assert (await caller.get("/GetSMS/4711")).json["status"] == "Failed"
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "ACTIVATED"


async def test_edit_device(caller: Caller) -> None:
    """An edit shows in the device, with its date."""
    changes = {"customer": "Anna", "simNotes": None, "status": "DEACTIVATED"}
    assert (await caller.put(f"/EditDevice/{ACTIVE}", changes)).json == {"iccid": ACTIVE}
    device = (await caller.get(f"/GetDevice/{ACTIVE}")).json
    assert changes.items() <= device.items()
    assert device["dateUpdated"][:19] == f"{caller.portal.clock.now():%Y-%m-%d %H:%M:%S}"


async def test_bulk_edit(caller: Caller) -> None:
    """A bulk edit is carried out when it is due, and reports which SIMs it could edit."""
    edit = {"update": {"status": "DEACTIVATED", "customer": "Anna"}, "queueId": "7"}
    caller.portal.sims[DOCUMENTED].status = "RETIRED"
    await caller.put("/BulkEditDevice", edit | {"iccids": [ACTIVE, DOCUMENTED, "1"]})
    assert caller.portal.state.is_busy
    caller.portal.clock.advance(10)
    device = (await caller.get(f"/GetDevice/{ACTIVE}")).json
    assert (device["status"], device["customer"]) == ("DEACTIVATED", "Anna")
    (edited,) = caller.portal.state.bulk_edits
    assert edited.results == {ACTIVE: True, DOCUMENTED: False, "1": False}
    assert not caller.portal.state.is_busy


async def test_bulk_edit_when_time_leaps(caller: Caller) -> None:
    """A status arrives the configured seconds after the bulk edit was due, even without reads in between."""
    caller.portal.dialects["status_change"] = "after_seconds"
    edit = {"update": {"status": "DEACTIVATED"}, "queueId": "7", "iccids": [ACTIVE]}
    await caller.put("/BulkEditDevice", edit)
    timings = caller.portal.state.timings
    caller.portal.clock.advance(timings.bulk_seconds + timings.status_seconds - 1)
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "ACTIVATED"
    caller.portal.clock.advance(2)
    assert (await caller.get(f"/getStatus/{ACTIVE}")).text == "DEACTIVATED"


async def test_later_request_wins(caller: Caller) -> None:
    """Two requested statuses that are pending arrive in order."""
    caller.portal.dialects["status_change"] = "after_seconds"
    path = f"/RequestStatusChange/{ACTIVE}"
    await caller.put(path, {"status": "DEACTIVATED"})
    caller.portal.clock.advance(10)
    await caller.put(path, {"status": "INVENTORY"})
    seen = []
    for _ in range(4):
        seen.append((await caller.get(f"/getStatus/{ACTIVE}")).text)
        caller.portal.clock.advance(10)
    assert seen == ["ACTIVATED", "ACTIVATED", "DEACTIVATED", "INVENTORY"]
