"""The httpx program runs on respx, without a socket."""

import pytest
import respx

from mock_portal.respx import mount

from .client_httpx import PortalError, run
from .helpers import ICCID, READ

PRODUCTION = "https://api.iotportal.io/api"


async def test_respx(capsys: pytest.CaptureFixture[str]) -> None:
    """The program asks the address of the real portal, and meets the mock and its faults."""
    with respx.mock() as router:
        portal = mount(router, PRODUCTION, "demo")
        portal.clock.freeze()
        await run(PRODUCTION, ICCID, "Hello")
        assert capsys.readouterr().out == f"{READ}message: Hello (Pending)\n"

        portal.faults.add("reset_after_read", route="SendSMS", times=1)
        with pytest.raises(PortalError, match="may have been sent"):
            await run(PRODUCTION, ICCID, "Hello")
        portal.faults.add("rate_limited", retry_after=7, route="ctdUsage")
        with pytest.raises(PortalError, match="wait 7 s"):
            await run(PRODUCTION, ICCID, "Hello")
        portal.journal.assert_called("PUT", "/SendSMS/*", times=2)
