"""The page of the mock portal, on a desktop and on a phone, with the mouse and with the keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import unused_port
from playwright.async_api import Locator, Page, expect
import pytest

from mock_portal import MockPortal

from .browser import Visit, visiting

ACTIVE, IN_SESSION = "8931082322204500018", "8931082322204500034"
DESKTOP, PHONE = (1280, 900), (390, 844)
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
SCRIPT = "<script>window.isHacked = true</script><img src=x onerror='window.isHacked = true'>"
# What has more in it than it shows, or ends beside the screen.
TOO_WIDE = """() => [...document.querySelectorAll("body, body *")].filter((element) =>
  element.checkVisibility() && element.getBoundingClientRect().width > 1
  && !element.closest("thead") && element.getBoundingClientRect().right > innerWidth + 0.5
).map((element) => element.outerHTML.slice(0, 80))"""


class Client:
    """A client of a portal."""

    def __init__(self, portal: MockPortal, session: ClientSession) -> None:
        """Store the portal and an HTTP session."""
        self._portal = portal
        self._session = session
        self._token = ""

    async def log_in(self) -> None:
        """Log in."""
        body = {"clientId": "demo-client", "secretKey": "demo-secret"}
        async with self._session.post(f"{self._portal.url}/Login", json=body) as answer:
            self._token = (await answer.json())["data"]["token"]

    async def get(self, path: str) -> int:
        """Send a request, and return the status of the answer."""
        headers = {"Authorization": self._token}
        async with self._session.get(f"{self._portal.url}{path}", headers=headers) as answer:
            return answer.status


@pytest.fixture(autouse=True)
def sockets(socket_enabled: None) -> None:
    """Allow real sockets."""


@pytest.fixture
async def portal() -> AsyncIterator[MockPortal]:
    """Return a portal with four SIMs."""
    async with MockPortal("demo") as portal:
        yield portal


@pytest.fixture
async def client(portal: MockPortal) -> AsyncIterator[Client]:
    """Return a client that has logged in."""
    async with ClientSession() as session:
        client = Client(portal, session)
        await client.log_in()
        yield client


@asynccontextmanager
async def looking(
    portal: MockPortal, chromium: str, folder: Path, size: tuple[int, int], **context: Any
) -> AsyncIterator[Visit]:
    """Open the page in a browser; at the end nothing was logged, and nothing is too wide."""
    root = portal.page_url.rstrip("/")
    viewport = dict(zip(("width", "height"), size, strict=True))
    async with visiting(root, chromium, folder, viewport=viewport, **context) as visit:
        await visit.open("/")
        await expect(rows(visit.page).first).to_be_visible()
        yield visit
        assert await visit.page.evaluate(TOO_WIDE) == []
        assert await visit.page.evaluate("document.documentElement.scrollWidth") == size[0]
        await visit.look("mock_page")


def rows(page: Page) -> Locator:
    """Return the rows of SIMs."""
    return page.locator("#sim-rows").get_by_role("row")


def row(page: Page, name: str) -> Locator:
    """Return the row of a SIM."""
    return page.locator("#sim-rows").get_by_role("row", name=name)


def region(page: Page, name: str) -> Locator:
    """Return a part of the page."""
    return page.get_by_role("region", name=name)


def requests(page: Page) -> Locator:
    """Return the requests, newest first."""
    return page.get_by_role("list", name="Requests, newest first").get_by_role("listitem")


async def press_until(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press a key until an element has the focus."""
    for _ in range(150):
        if await target.evaluate("(element) => element === document.activeElement"):
            return
        await page.keyboard.press(key)
    pytest.fail("The keyboard does not reach it")


async def switch_a_dialect(page: Page, portal: MockPortal) -> None:
    """Switch a dialect, and back."""
    dialects = region(page, "Dialects")
    await dialects.get_by_text("Switch dialects (all as by default)").click()
    await dialects.get_by_label("status_body").select_option("object")
    await expect(dialects.get_by_text("Switch dialects (1 switched)")).to_be_visible()
    assert portal.dialects["status_body"] == "object"
    await dialects.get_by_role("button", name="Back to the defaults").click()
    await expect(dialects.get_by_text("(all as by default)")).to_be_visible()


async def meet_a_fault(page: Page, portal: MockPortal, client: Client) -> None:
    """Add a fault, see it hit, and remove it."""
    faults = region(page, "Faults")
    await faults.get_by_role("combobox", name="Kind").select_option("status")
    await faults.get_by_role("spinbutton", name="HTTP status").fill("502")
    await faults.get_by_role("textbox", name="Body").fill('{"error": 1}')
    await faults.get_by_role("textbox", name="Headers").fill("Retry-After: 5\nX-Proxy: a:b")
    await faults.get_by_text("Which requests, and how often").click()
    await faults.get_by_role("combobox", name="Route").select_option("ctdUsage")
    await faults.get_by_role("spinbutton", name="At most so many times").fill("1")
    await faults.get_by_role("button", name="Add fault").click()
    await expect(faults.get_by_text("hit 0 of 0 requests")).to_be_visible()
    assert await client.get(f"/ctdUsage/{ACTIVE}") == 502
    (fault,) = portal.faults
    assert (fault.headers, fault.body) == ({"Retry-After": "5", "X-Proxy": "a:b"}, {"error": 1})
    await expect(requests(page).first).to_contain_text(f"GET /ctdUsage/{ACTIVE}")
    await expect(requests(page).first).to_contain_text("502")
    await expect(faults.get_by_text("hit 1 of 1 requests, used up")).to_be_visible()
    await faults.get_by_role("button", name="Remove fault-1").click()
    await expect(faults.get_by_text("No faults")).to_be_visible()


async def filter_requests(page: Page, client: Client) -> None:
    """Read a near miss, and find requests."""
    await client.get(f"/GetStatus/{ACTIVE}")
    await expect(requests(page).first).to_contain_text("Near miss: No route GET")
    show = page.get_by_role("combobox", name="Show")
    await show.select_option("fault")
    await expect(requests(page)).to_have_count(1)
    await show.select_option("all")
    await page.get_by_role("searchbox", name="Filter").fill("login")
    await expect(requests(page)).to_have_count(1)
    await requests(page).first.locator("summary").click()
    await expect(requests(page).first).to_contain_text('"secretKey": "***"')
    await page.get_by_role("searchbox", name="Filter").fill("")


async def move_the_clock(page: Page, portal: MockPortal) -> None:
    """Freeze the clock, move it, set it, and let it run."""
    clock = region(page, "Clock")
    await clock.get_by_role("button", name="Freeze").click()
    await expect(clock.get_by_text("(frozen)")).to_be_visible()
    before = portal.clock.now()
    await clock.get_by_role("spinbutton", name="Forward by").fill("2")
    await clock.get_by_role("combobox", name="Unit").select_option("days")
    await clock.get_by_role("button", name="Move forward").click()
    await expect(page.get_by_text("The clock has moved.")).to_be_visible()
    assert (portal.clock.now() - before).total_seconds() == 2 * 24 * 3600
    await clock.get_by_label("Date and time").fill("2027-01-31T12:00:05")
    await clock.get_by_role("button", name="Set", exact=True).click()
    await expect(clock.get_by_text("2027-01-31 12:00:05 (frozen)")).to_be_visible()
    await clock.get_by_role("button", name="Let it run").click()
    await expect(clock.get_by_role("button", name="Freeze")).to_be_visible()


@SIZES
async def test_page(
    portal: MockPortal, client: Client, chromium: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    """The page shows SIMs and requests as they come, and changes what it shows."""
    async with looking(portal, chromium, tmp_path, size) as visit:
        page = visit.page
        await expect(rows(page)).to_have_count(4)
        await expect(row(page, "Boat tracker")).to_contain_text("100.126.61.103")
        await expect(row(page, "Pump house")).to_contain_text("480 MB")
        connect = region(page, "Connect your client")
        for text in (portal.url, "demo-client", "demo-secret", "demo-token"):
            await expect(connect.get_by_text(text, exact=True)).to_be_visible()
        await switch_a_dialect(page, portal)
        await meet_a_fault(page, portal, client)
        await filter_requests(page, client)
        await move_the_clock(page, portal)

        scenario = region(page, "Scenario")
        await scenario.get_by_role("combobox", name="Scenario").select_option("abzorb")
        await scenario.get_by_role("button", name="Load").click()
        await expect(row(page, "Lift telephone")).to_be_visible()
        await expect(page.get_by_text("No requests yet.")).to_be_visible()


@SIZES
async def test_keyboard(
    portal: MockPortal, chromium: str, tmp_path: Path, size: tuple[int, int]
) -> None:
    """Without a mouse a SIM gets another status and a session, and a text message arrives, as text."""
    async with looking(portal, chromium, tmp_path, size) as visit:
        page = visit.page
        await press_until(page, page.get_by_role("link", name="SIMs"))
        await page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Change Weather station")
        await press_until(page, button)
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Weather station")

        await press_until(page, dialog.get_by_label("Status"))
        await page.keyboard.type("TRIAL")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_text("The status is TRIAL.")).to_be_visible()
        await press_until(page, dialog.get_by_label("IP address"))
        await page.keyboard.type("10.0.0.7")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_text("session open")).to_be_visible()
        await press_until(page, dialog.get_by_label("Text message"))
        await page.keyboard.type(SCRIPT)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_text("The text message has arrived.")).to_be_visible()
        await page.keyboard.press("Escape")

        await expect(button).to_be_focused()
        await expect(row(page, "Weather station")).to_contain_text("TRIAL")
        await expect(row(page, "Weather station")).to_contain_text("10.0.0.7")
        await expect(row(page, "Weather station")).to_contain_text(SCRIPT)
        assert await page.evaluate("window.isHacked") is None
        sim = portal.sims[ACTIVE]
        assert (sim.status, sim.in_session, sim.ip_address) == ("TRIAL", True, "10.0.0.7")
        assert [sms.text for sms in portal.state.sms_of(sim)] == [SCRIPT]


async def test_refusal(portal: MockPortal, chromium: str, tmp_path: Path) -> None:
    """What the portal refuses is shown in its own words, and a button keeps the focus while the page polls."""
    async with looking(portal, chromium, tmp_path, DESKTOP) as visit:
        button = visit.page.get_by_role("button", name="Change Boat tracker")
        await button.focus()
        faults = region(visit.page, "Faults")
        await faults.get_by_role("spinbutton", name="Seconds").fill("-1")
        await faults.get_by_role("button", name="Add fault").click()
        await expect(visit.page.get_by_text("body.seconds: -1.0 is not between")).to_be_visible()
        # Chromium logs every answer with an error.
        assert len(visit.complaints) == 1
        assert "400" in visit.complaints.pop()
        await button.focus()
        portal.sims[IN_SESSION].close_session()
        await expect(row(visit.page, "Boat tracker")).to_contain_text("Closed")
        await expect(button).to_be_focused()


@SIZES
async def test_fleet(chromium: str, tmp_path: Path, size: tuple[int, int]) -> None:
    """Of a thousand SIMs and ten thousand requests a part is drawn, and the rest is found."""
    fleet = {"extends": "fleet", "fleet": {"count": 999}}
    async with MockPortal(fleet) as portal, ClientSession() as session:
        client = Client(portal, session)
        await client.log_in()
        for number in range(350):
            await client.get(f"/getStatus/{number}")
        for exchange in [*portal.journal.exchanges] * 27:
            portal.journal.record(exchange.request, route=None, iccid=None, status=200, fault=None)
        async with looking(portal, chromium, tmp_path, size) as visit:
            page = visit.page
            await expect(rows(page)).to_have_count(50)
            count = "1,000 SIMs. 50 of them are shown; search for the others."
            await expect(page.get_by_text(count)).to_be_visible()
            last = [*portal.sims][-1]
            await page.get_by_label("Search").fill(last[-6:])
            await expect(rows(page)).to_have_count(1)
            await expect(rows(page)).to_contain_text(last)
            await expect(page.get_by_text("1 of 1,000 SIMs match.")).to_be_visible()

            await expect(requests(page)).to_have_count(100)
            newest = "The newest 200 are searched."
            await expect(page.get_by_text(newest)).to_be_visible()
            await page.get_by_role("button", name="Show older").click()
            await expect(requests(page)).to_have_count(200)
            await expect(page.get_by_text("The newest 400 are searched.")).to_be_visible()
            await page.get_by_role("button", name="Pause").click()
            await client.get("/getStatus/paused")
            await page.wait_for_timeout(2500)
            await expect(requests(page).first).not_to_contain_text("paused")
            await page.get_by_role("button", name="Pause").click()
            await expect(requests(page).first).to_contain_text("paused")
            await page.get_by_role("button", name="Empty the journal").click()
            await expect(requests(page)).to_have_count(0)
            await client.get("/getStatus/after")
            await expect(requests(page)).to_have_count(1)


async def test_portal_that_stops(chromium: str, tmp_path: Path) -> None:
    """The page says that the portal is gone, and comes back with it by itself."""
    port = unused_port()
    async with MockPortal("demo", port=port) as portal:
        page_of = looking(portal, chromium, tmp_path, PHONE)
        visit = await page_of.__aenter__()
        await portal.stop()
        await expect(visit.page.get_by_role("alert")).to_contain_text("The portal does not answer.")
    async with MockPortal("abzorb", port=port):
        await expect(visit.page.get_by_text("The portal answers again.")).to_be_visible()
        await expect(visit.page.get_by_role("alert")).to_be_hidden()
        await expect(row(visit.page, "Lift telephone")).to_be_visible()
        assert visit.complaints
        assert all("ERR_CONNECTION_REFUSED" in each for each in visit.complaints)
        visit.complaints.clear()
        await page_of.__aexit__(None, None, None)


async def test_copy(portal: MockPortal, chromium: str, tmp_path: Path) -> None:
    """What a client needs can be copied; where the browser forbids that, it is selected."""
    allowed = ["clipboard-read", "clipboard-write"]
    async with looking(portal, chromium, tmp_path, DESKTOP, permissions=allowed) as visit:
        page = visit.page
        await page.get_by_role("button", name="Copy Base URL").click()
        await expect(page.get_by_text("Base URL copied.")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == portal.url
        await page.evaluate("void (Clipboard.prototype.writeText = () => Promise.reject())")
        await page.get_by_role("button", name="Copy API token").click()
        await expect(page.get_by_text("API token is selected; copy it")).to_be_visible()
        assert await page.evaluate("String(getSelection())") == "demo-token"


async def test_headings_and_names(portal: MockPortal, chromium: str, tmp_path: Path) -> None:
    """Every control has a name, every part a heading, and nothing but buttons and links is clicked."""
    async with looking(portal, chromium, tmp_path, DESKTOP) as visit:
        names = await visit.page.locator("section").evaluate_all(
            "(parts) => parts.map((part) => part.querySelector('h2')?.textContent)"
        )
        assert names == [
            "Connect your client",
            "SIMs",
            "Requests of your client",
            "Clock",
            "Faults",
            "Dialects",
            "Scenario",
        ]
        nameless = await visit.page.evaluate(
            """() => [...document.querySelectorAll("input, select, textarea, button")]
            .filter((each) => !each.labels?.length && !each.ariaLabel && !each.textContent.trim())
            .map((each) => each.outerHTML)"""
        )
        assert nameless == []
        ids = await visit.page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
        assert len(set(ids)) == len(ids)
