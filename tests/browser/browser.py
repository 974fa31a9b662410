"""A browser that checks the texts and icons of each page, and collects errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import re
import shutil
from typing import Any

from playwright.async_api import ConsoleMessage, Error, Page, Route, async_playwright, expect

NO_CHROMIUM = "There is no Chromium on the PATH; on Debian: apt-get install chromium"
FLAGS = (
    "--no-sandbox",  # which Chromium refuses to use as root; it only visits loopback addresses
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
TIMEOUT = 20_000
expect.set_options(timeout=TIMEOUT)

# Untranslated keys, placeholders and values of programs.
RAW = re.compile(
    r"\b(?:component|ui|state|state_attributes|config|config_subentries|options|services|entity|selector"
    r"|exceptions|issues)\.\w+\.[\w.]+"
    r"|\bundefined\b|\bNaN\b|\[object \w+\]|(?<!\{)\{\w+\}(?!\})"
)
# In a dialog the names of fields have translations.
KEY = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
# Icons that have a name but no shape.
EMPTY_ICONS = """() => {
  const empty = [];
  const walk = (root) => root.querySelectorAll("*").forEach((element) => {
    const svg = element.shadowRoot?.querySelector("ha-svg-icon");
    if (element.localName === "ha-icon" && element.icon && element.checkVisibility() && !svg?.path)
      empty.push(element.icon);
    if (element.shadowRoot) walk(element.shadowRoot);
  });
  walk(document);
  return empty;
}"""


def find_chromium() -> str | None:
    """Return the path of Chromium under any of its names in distributions."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Visit:
    """A user's session in a browser at one Home Assistant."""

    def __init__(self, page: Page, url: str, folder: Path) -> None:
        """Store the page, the URL of Home Assistant and the folder for screenshots."""
        self.page = page
        self.complaints: list[str] = []
        self._url = url
        self._folder = folder
        page.on("console", self._note_message)
        page.on("pageerror", self._note_error)

    def _note_message(self, message: ConsoleMessage) -> None:
        """Record an error on the console."""
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _note_error(self, error: Error) -> None:
        """Record an uncaught error."""
        # Home Assistant's virtual lists raise the one whenever one is removed, and its buttons the other: the
        # answer of an action that failed, once a message has shown it.
        if error.message not in ("disconnected", "Object"):
            self.complaints.append(error.stack or error.message)

    async def open(self, path: str) -> None:
        """Open a page by its path."""
        await self.page.goto(self._url + path)

    async def log_in(self, user: str, password: str) -> None:
        """Log in on the login page."""
        await self.open("/")
        await self.page.get_by_role("textbox", name="Username").fill(user)
        await self.page.get_by_role("textbox", name="Password").fill(password)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.locator("home-assistant-main").wait_for()

    async def look(self, name: str) -> None:
        """Check every text and icon of the page, and take a screenshot."""
        await self._wait_for_icons()
        await self.page.screenshot(path=self._folder / f"{name}.png", animations="disabled")
        found = RAW.findall(await self._text("body"))
        found += KEY.findall(await self._text("dialog-data-entry-flow"))
        found += self.complaints
        assert not found, found

    async def _text(self, selector: str) -> str:
        """Return all texts in a part of the page as assistive technology gets them; empty if it does not exist."""
        part = self.page.locator(selector)
        if not await part.count():
            return ""
        seen = await part.aria_snapshot()
        return "\n".join(line for line in seen.splitlines() if not line.lstrip().startswith("- /"))

    async def _wait_for_icons(self) -> None:
        """Wait until every icon is drawn."""
        try:
            await self.page.wait_for_function(f"({EMPTY_ICONS})().length === 0", timeout=5_000)
        except Error:
            empty = await self.page.evaluate(EMPTY_ICONS)
            assert empty == [], empty


async def _serve_brand(route: Route) -> None:
    """Serve the integration's own brand images; Home Assistant would load those of others from the internet."""
    if "/iot_portal/" in route.request.url:
        await route.continue_()
    else:
        nothing = '<svg xmlns="http://www.w3.org/2000/svg"/>'
        await route.fulfill(content_type="image/svg+xml", body=nothing)


@asynccontextmanager
async def visiting(url: str, chromium: str, folder: Path, **context: Any) -> AsyncIterator[Visit]:
    """Open a fresh browser at a Home Assistant, with further options for Playwright's browser context."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        window = await browser.new_context(
            **{
                "viewport": {"width": 1280, "height": 900},
                "locale": "en-GB",
                "timezone_id": "Europe/Amsterdam",
                "reduced_motion": "reduce",
                **context,
            }
        )
        await window.route("**/api/brands/**", _serve_brand)
        page = await window.new_page()
        page.set_default_timeout(TIMEOUT)
        yield Visit(page, url, folder)
        await browser.close()
