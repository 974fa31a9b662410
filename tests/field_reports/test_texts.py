"""Text from the portal is shown as text: in one line, and not too long for its place."""

import logging
from typing import Any

from homeassistant.const import MAX_LENGTH_STATE_STATE, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.json import json_bytes
import pytest

from .home import ICCID, OTHER_ICCID, Home
from .odd_portal import raw, says

NOTHING = (STATE_UNAVAILABLE, STATE_UNKNOWN)
ODD_TEXTS = [
    "Pump\nERROR forged line",
    "Pump\r\n\r\nERROR forged line",
    "Pump\x00\x1b[31m",
    "Pump\u2028ERROR forged line",
    "Pump " * 1000,
    "Pump \ud83d",
    "{{ states('sun.sun') }}",
    "<img src=x onerror=alert(1)>",
    "![a](https://example.com/a.png)",
    "Pump | # Heading",
]
# Recorder refuses longer attributes.
MAX_ATTRIBUTES = 16384


def is_one_line(text: str) -> bool:
    """Return whether a text is one line without control characters."""
    return len(text.splitlines()) <= 1 and all(
        character.isprintable() or character.isspace() for character in text
    )


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_text_in_a_state(home: Home, text: str) -> None:
    """It is shown in one line that fits.

    Case: a plan, a customer or a label with line breaks, control characters or 5,000 letters
    Source: our own trial with an unusual test portal; home-assistant/core 170101
    """
    home.portal.set(ICCID, ratePlan=text, customer=text, communicationPlan=text)
    await home.start()

    for key in ("rate_plan", "customer", "communication_plan"):
        shown = home.shows(key)
        assert shown not in NOTHING
        assert is_one_line(shown)
        assert len(shown) <= MAX_LENGTH_STATE_STATE
        assert shown.encode()
    assert home.tracebacks == []


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_text_in_a_label(home: Home, text: str) -> None:
    """The name of the SIM is one line of limited length.

    Case: a `deviceID` with a blank line, an image or a heading in it
    Source: our own trial with an unusual test portal
    """
    await home.start(OTHER_ICCID)
    home.portal.set(ICCID, deviceID=text)

    await home.add_sims(ICCID)

    title = next(s.title for s in home.entry.subentries.values() if s.data["iccid"] == ICCID)
    assert title.startswith(("Pump", "{{", "<", "!", "SIM"))
    assert is_one_line(title)
    assert len(title) <= 255
    assert title.encode()


@pytest.mark.parametrize("text", ODD_TEXTS)
async def test_text_in_an_error(home: Home, text: str) -> None:
    """It is one line, both in the log and in the error that the user sees.

    Case: the portal's text of an error with line breaks, control characters or 5,000 letters
    Source: our own trial with an unusual test portal
    """
    await home.start()
    said = says({"errorMessage": text, "errorCode": "30000001"}, status=500)
    home.portal.always("*", said)
    await home.poll(2)

    with pytest.raises(HomeAssistantError) as caught:
        await home.act("send_sms", message="Hello")

    lines = [*home.log(logging.DEBUG), str(caught.value)]
    assert all(is_one_line(line) and len(line) < 1000 for line in lines)


@pytest.mark.parametrize(
    "text", ["Hello\nworld", "a" * 900_000, "Fire \ud83d", "\x00\x01", "{{ 1 / 0 }}"]
)
async def test_text_of_an_sms(home: Home, hass_storage: dict[str, Any], text: str) -> None:
    """Home Assistant can store the event.

    Case: an SMS of 900 kB, with half an emoji, or with a NUL
    Source: our own trial with an unusual test portal; home-assistant/core 170101 and PR 172545; core 75621
    """
    await home.start(options={"watch_sms": True})
    home.portal.sms["4711"] = {"iccid": ICCID, "msgType": "MO", "messageText": text}
    await home.poll()

    ((kind, told),) = home.told
    assert kind == "sms_received"
    assert len(json_bytes(told["message"])) < MAX_ATTRIBUTES
    assert "\x00" not in str(told["message"])
    await home.unload()
    assert json_bytes(hass_storage[f"iot_portal.{home.entry.entry_id}.snapshots"])
    assert home.tracebacks == []


async def test_unknown_charset(home: Home) -> None:
    """No error is logged, and nothing is reported.

    Case: the answers of one poll declare an unknown charset
    Source: razem-io/ha-bayrol-cloud 28; mollie/mollie-api-python PR 64
    """
    await home.start()
    body = says(home.portal.example("ctdUsage", ICCID)).body
    home.portal.once("ctdUsage", raw(body, Content_Type="application/json; charset=utf8mb4"))
    await home.poll(2)

    assert home.told == []
    assert home.shows("status") == "activated"
    assert home.tracebacks == []
