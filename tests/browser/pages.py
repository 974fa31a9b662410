"""Pages and dialogs of Home Assistant, as far as an account with its SIMs needs them."""

import re

from playwright.async_api import Download, Locator, Page, expect

# What is open of all lists to choose from.
OPEN_LIST = "ha-picker-combo-box:visible"


async def pick(options: Locator, text: str) -> None:
    """Pick from an open list, and wait until it is closed."""
    await options.get_by_text(text, exact=True).click()
    await expect(options).to_have_count(0)


class Dialog:
    """The dialog that sets something up, step by step."""

    def __init__(self, page: Page) -> None:
        """Find it on the page."""
        self._page = page
        self._root = page.locator("dialog-data-entry-flow")

    async def expect(self, *texts: str) -> None:
        """Wait until the dialog shows these texts."""
        for text in texts:
            await expect(self._root.get_by_text(text).first).to_be_visible()

    def field(self, label: str) -> Locator:
        """Return the field for a text or a number."""
        return self._root.get_by_role("textbox", name=label).or_(
            self._root.get_by_role("spinbutton", name=label)
        )

    async def fill(self, label: str, value: str) -> None:
        """Fill in a field."""
        await self.field(label).fill(value)

    async def choose(self, label: str, option: str) -> None:
        """Choose from a list."""
        await self._root.locator(f'ha-select:has-text("{label}")').click()
        await self._root.get_by_role("menuitem", name=option).click()

    async def open_section(self, name: str) -> None:
        """Open a section that is closed at first."""
        await self._root.get_by_role("button", name=name).click()

    async def press(self, button: str) -> None:
        """Press a button below the fields, or beside the title where there is none."""
        await self._root.get_by_role("button", name=button).last.click()

    async def close(self, button: str) -> None:
        """Press the button that ends the dialog, and wait until it is gone."""
        await self.press(button)
        await expect(self._root.get_by_role("button")).to_have_count(0)


class IntegrationsPage:
    """Settings > Devices & services."""

    PATH = "/config/integrations/dashboard"

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page

    async def add(self, name: str) -> Dialog:
        """Find an integration among all that there are, and begin to add it."""
        await self._page.get_by_role("button", name="Add integration").click()
        brands = self._page.locator("dialog-add-integration")
        await brands.get_by_role("textbox").fill(name)
        await brands.get_by_role("button", name=name).click()
        return Dialog(self._page)

    async def mend(self) -> Dialog:
        """Begin to enter new credentials where Home Assistant asks for them."""
        await self._page.get_by_role("button", name="Reconfigure").click()
        return Dialog(self._page)


class IntegrationPage:
    """The page of the integration: its accounts and SIMs."""

    PATH = "/config/integrations/integration/iot_portal"

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page
        self.account = page.locator("ha-config-entry-row")
        self.sims = page.locator("ha-config-sub-entry-row")

    def sim(self, name: str) -> Locator:
        """Return the row of a SIM."""
        return self.sims.filter(has_text=name)

    async def open_device(self, name: str) -> DevicePage:
        """Open the device of a SIM."""
        await self._page.get_by_role("button", name=f"{name} SIM card").click()
        return DevicePage(self._page)

    async def configure(self, row: Locator, button: str) -> Dialog:
        """Press the gear beside an account or a SIM."""
        await row.get_by_role("button", name=button).first.click()
        return Dialog(self._page)

    async def choose(self, row: Locator, item: str) -> None:
        """Choose from the menu beside an account or a SIM."""
        await row.get_by_role("button", name="Menu").first.click()
        await self._page.get_by_role("menuitem", name=item).click()

    async def download_diagnostics(self) -> Download:
        """Download the diagnostics of the account."""
        async with self._page.expect_download() as download:
            await self.choose(self.account, "Download diagnostics")
        return await download.value

    async def confirm(self) -> None:
        """Confirm that something may be deleted."""
        await self._page.locator("dialog-box").get_by_role("button", name="Delete").click()


class DevicePage:
    """The page of one SIM."""

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page

    def row(self, name: str) -> Locator:
        """Return the row of an entity, or of both when there are two of that name."""
        return self._page.locator(f'hui-generic-entity-row:has(.info:text-is("{name}"))')

    async def expect(self, **shown: str) -> None:
        """Wait until entities show states."""
        for key, state in shown.items():
            name = key.replace("_", " ")
            # What stands on the right comes first in the page; a space of it may be one that does not break.
            words = r"\s".join(map(re.escape, state.split()))
            text = re.compile(rf"\b{words}\s+{name}\s*$")
            await expect(self.row(name).last).to_have_text(text)

    async def press(self, name: str) -> None:
        """Press the button of an entity."""
        await self.row(name).get_by_role("button", name="Press").click()


class ActionsPage:
    """Settings > Tools > Actions."""

    PATH = "/config/tools/action"

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page
        self._fields = page.locator("ha-service-control")
        self._list = page.locator(OPEN_LIST)

    async def choose_action(self, name: str) -> None:
        """Find an action among all that there are."""
        await self._page.locator("ha-service-picker").click()
        await self._list.get_by_role("textbox").fill(name)
        await pick(self._list, name)

    async def choose_sim(self, name: str) -> None:
        """Choose a SIM."""
        await self._fields.get_by_text("Select a device").click()
        await pick(self._list, name)
        await expect(self._fields.get_by_text(name, exact=True)).to_be_visible()

    async def choose_option(self, name: str) -> None:
        """Choose from the one list of fixed words."""
        await self._fields.locator("ha-selector-select").click()
        await pick(self._list, name)

    async def write(self, text: str) -> None:
        """Write a text of several lines."""
        await self._fields.locator("textarea").fill(text)

    async def perform(self) -> str:
        """Perform the action, and return its answer."""
        await self._page.get_by_role("button", name="Perform action").click()
        answer = self._page.locator("ha-yaml-editor .cm-content")
        await expect(answer).to_contain_text(":")
        return await answer.inner_text()


class BlueprintsPage:
    """Settings > Automations & scenes > Blueprints."""

    PATH = "/config/blueprint/dashboard"

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page
        self._dialog = page.locator("ha-dialog-import-blueprint")

    async def preview(self, url: str) -> None:
        """Fetch a blueprint."""
        await self._page.get_by_role("button", name="Import blueprint").click()
        await self._dialog.get_by_role("textbox", name="Blueprint address").fill(url)
        await self._dialog.get_by_role("button", name="Preview").click()
        await expect(self._dialog.get_by_role("textbox", name="Blueprint path")).to_be_visible()

    async def take_over(self) -> None:
        """Import what is previewed."""
        await self._dialog.get_by_role("button", name="Import blueprint").click()

    async def create_automation(self, name: str) -> AutomationPage:
        """Make an automation from a blueprint."""
        await self._page.get_by_text(name, exact=True).click()
        return AutomationPage(self._page)


class AutomationPage:
    """The page on which an automation is made."""

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page

    async def choose_entity(self, device: str) -> None:
        """Choose the entity of a device for the first field that wants one."""
        await self._page.get_by_text("Select an entity").first.click()
        await pick(self._page.locator(OPEN_LIST), device)

    async def save(self) -> None:
        """Save the automation; it is there when it can have traces."""
        await self._page.get_by_role("button", name="Save").click()
        await expect(self._page.get_by_text("Traces")).to_be_visible()


class DashboardsPage:
    """Settings > Dashboards."""

    PATH = "/config/lovelace/dashboards"

    def __init__(self, page: Page) -> None:
        """Remember the page."""
        self._page = page

    async def offer(self) -> None:
        """Begin to add a dashboard."""
        await self._page.get_by_role("button", name="Add dashboard").click()

    async def add(self, name: str) -> None:
        """Add a dashboard of those that are offered, as it is suggested."""
        await self._page.locator("ha-dialog-new-dashboard").get_by_text(name, exact=True).click()
        await self._page.get_by_role("button", name="Create").click()

    async def open(self, name: str) -> DashboardPage:
        """Open a dashboard."""
        await self._page.get_by_role("link", name=name).click()
        return DashboardPage(self._page)


class DashboardPage:
    """The dashboard of the SIMs."""

    def __init__(self, page: Page) -> None:
        """Find the table on the page; its first row has the headings."""
        self.rows = page.locator("hui-markdown-card tr")
