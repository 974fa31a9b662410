"""Page objects for the pages and dialogs of Home Assistant that an account with SIMs uses."""

import re

from playwright.async_api import Download, FilePayload, Locator, Page, expect

# The open one of all drop-down lists.
OPEN_LIST = "ha-picker-combo-box:visible"


async def pick(options: Locator, text: str) -> None:
    """Choose an item from an open list, and wait until the list is closed."""
    await options.get_by_text(text, exact=True).click()
    await expect(options).to_have_count(0)


async def choose_target(page: Page, device: str) -> None:
    """Choose a SIM or an account by its device in the only target of a page."""
    await page.get_by_role("button", name="Add target").click()
    options = page.locator(OPEN_LIST)
    # The list keeps the kind that was chosen before, so search in all kinds. Below an entity stands the name of its device.
    await options.get_by_role("textbox").fill(device)
    await options.locator(f'[slot="headline"]:text-is("{device}")').click()
    await expect(options).to_have_count(0)


class Dialog:
    """The dialog of a configuration flow."""

    def __init__(self, page: Page) -> None:
        """Locate the dialog on the page."""
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

    async def choose_file(self, name: str, content: str) -> None:
        """Choose a file for the only field for files, and wait until it has been uploaded."""
        file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
        await self._root.locator("input[type=file]").set_input_files(file)
        await self.expect(name)
        # The name is there from the start.
        await expect(self._root.get_by_text("Uploading")).to_have_count(0)

    async def choose(self, label: str, option: str) -> None:
        """Choose from a list."""
        await self._root.locator(f'ha-select:has-text("{label}")').click()
        await self._root.get_by_role("menuitem", name=option).click()

    async def open_section(self, name: str) -> None:
        """Expand a collapsed section."""
        await self._root.get_by_role("button", name=name).click()

    async def press(self, button: str) -> None:
        """Press a button in the footer, or in the header if there is none."""
        await self._root.get_by_role("button", name=button).last.click()

    async def close(self, button: str) -> None:
        """Press the button that ends the dialog, and wait until it is closed."""
        await self.press(button)
        await expect(self._root.get_by_role("button")).to_have_count(0)


class IntegrationsPage:
    """Settings > Devices & services."""

    PATH = "/config/integrations/dashboard"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page

    async def add(self, name: str) -> Dialog:
        """Search for an integration and start to add it."""
        await self._page.get_by_role("button", name="Add integration").click()
        brands = self._page.locator("dialog-add-integration")
        await brands.get_by_role("textbox").fill(name)
        await brands.get_by_role("button", name=name).click()
        return Dialog(self._page)

    async def reauthenticate(self) -> Dialog:
        """Start to enter new credentials where Home Assistant asks for them."""
        await self._page.get_by_role("button", name="Reconfigure").click()
        return Dialog(self._page)


class IntegrationPage:
    """The page of the integration: its accounts and SIMs."""

    PATH = "/config/integrations/integration/iot_portal"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page
        self.account = page.locator("ha-config-entry-row")
        self.sims = page.locator("ha-config-sub-entry-row")

    def sim(self, name: str) -> Locator:
        """Return the row of a SIM."""
        return self.sims.filter(has_text=name)

    async def open_device(self, name: str) -> DevicePage:
        """Open the device page of a SIM."""
        await self._page.get_by_role("button", name=f"{name} SIM card").click()
        return DevicePage(self._page)

    async def configure(self, row: Locator, button: str) -> Dialog:
        """Press the gear of an account or a SIM."""
        await row.get_by_role("button", name=button).first.click()
        return Dialog(self._page)

    async def choose(self, row: Locator, item: str) -> None:
        """Choose from the menu of an account or a SIM."""
        await row.get_by_role("button", name="Menu").first.click()
        await self._page.get_by_role("menuitem", name=item).click()

    async def download_diagnostics(self) -> Download:
        """Download the diagnostics of the account."""
        async with self._page.expect_download() as download:
            await self.choose(self.account, "Download diagnostics")
        return await download.value

    async def confirm(self) -> None:
        """Confirm a deletion."""
        await self._page.locator("dialog-box").get_by_role("button", name="Delete").click()


class DevicePage:
    """The device page of a SIM."""

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page

    def row(self, name: str) -> Locator:
        """Return the row of an entity, or both rows if two entities have that name."""
        return self._page.locator(f'hui-generic-entity-row:has(.info:text-is("{name}"))')

    async def expect(self, **shown: str) -> None:
        """Wait until entities show states."""
        for key, state in shown.items():
            name = key.replace("_", " ")
            # The right column comes first in the page; spaces may be non-breaking.
            words = r"\s".join(map(re.escape, state.split()))
            text = re.compile(rf"\b{words}\s+{name}\s*$")
            await expect(self.row(name).last).to_have_text(text)

    async def press(self, name: str) -> None:
        """Press the button of an entity."""
        await self.row(name).get_by_role("button", name="Press").click()

    async def add_label(self, name: str) -> None:
        """Add a label in the settings of the device."""
        await self._page.get_by_role("button", name="Edit settings").click()
        settings = self._page.locator("dialog-device-registry-detail")
        await settings.get_by_role("button", name="Add label").click()
        labels = self._page.locator(OPEN_LIST)
        await labels.get_by_text(name, exact=True).click()
        # The dialog takes a moment to take the label in.
        update = settings.get_by_role("button", name="Update")
        await expect(update).to_be_enabled()
        # Some versions keep the list open, for further labels.
        if await labels.count():
            await self._page.keyboard.press("Escape")
        await update.click()
        await expect(settings.get_by_role("button")).to_have_count(0)


class ActionsPage:
    """Settings > Tools > Actions."""

    PATH = "/config/tools/action"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page
        self._fields = page.locator("ha-service-control")
        self._list = page.locator(OPEN_LIST)

    async def choose_action(self, name: str) -> None:
        """Search for an action and choose it."""
        await self._page.locator("ha-service-picker").click()
        await self._list.get_by_role("textbox").fill(name)
        await pick(self._list, name)

    async def choose_sim(self, name: str) -> None:
        """Choose a SIM."""
        await choose_target(self._page, name)
        await expect(self._fields.get_by_text(name, exact=True)).to_be_visible()

    async def choose_option(self, name: str) -> None:
        """Choose from the only list of fixed options."""
        await self._fields.locator("ha-selector-select").click()
        await pick(self._list, name)

    async def turn_on(self, label: str, value: str) -> None:
        """Turn on an optional field for a number, and fill it in."""
        row = self._fields.locator("ha-settings-row", has_text=label)
        await row.locator("ha-checkbox").click()
        await row.get_by_role("spinbutton").fill(value)

    async def write(self, text: str) -> None:
        """Enter a text in a text area."""
        await self._fields.locator("textarea").fill(text)

    async def perform(self) -> str:
        """Perform the action, and return its response."""
        await self._page.get_by_role("button", name="Perform action").click()
        answer = self._page.locator("ha-yaml-editor .cm-content")
        await expect(answer).to_contain_text(":")
        return await answer.inner_text()


class BlueprintsPage:
    """Settings > Automations & scenes > Blueprints."""

    PATH = "/config/blueprint/dashboard"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page
        self._dialog = page.locator("ha-dialog-import-blueprint")

    async def preview(self, url: str) -> None:
        """Enter the URL of a blueprint, and wait for its preview."""
        await self._page.get_by_role("button", name="Import blueprint").click()
        await self._dialog.get_by_role("textbox", name="Blueprint address").fill(url)
        await self._dialog.get_by_role("button", name="Preview").click()
        await expect(self._dialog.get_by_role("textbox", name="Blueprint path")).to_be_visible()

    async def import_previewed(self) -> None:
        """Import the previewed blueprint."""
        await self._dialog.get_by_role("button", name="Import blueprint").click()

    async def create(self, name: str) -> AutomationPage:
        """Create an automation or a script from a blueprint, whose editors are alike."""
        await self._page.get_by_text(name, exact=True).click()
        return AutomationPage(self._page)


class AutomationsPage:
    """Settings > Automations & scenes."""

    PATH = "/config/automation/dashboard"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page

    async def create(self) -> AutomationPage:
        """Start an empty automation."""
        await self._page.get_by_role("button", name="Create automation").click()
        dialog = self._page.locator("ha-dialog-new-automation")
        await dialog.get_by_text("Create new automation").click()
        return AutomationPage(self._page)


class ElementDialog:
    """The dialog that adds a trigger, a condition or an action."""

    def __init__(self, page: Page, target: str) -> None:
        """Locate the dialog, in which a target has been chosen."""
        self._root = page.locator("add-automation-element-dialog")
        self._target = target

    def item(self, name: str) -> Locator:
        """Return a trigger, a condition or an action that is offered for the target."""
        return self._root.get_by_role("button", name=f"{name} {self._target}", exact=True)

    async def choose(self, name: str) -> None:
        """Add a trigger, a condition or an action, after which its form opens."""
        await self.item(name).click()
        await expect(self._root.get_by_role("button")).to_have_count(0)


class AutomationPage:
    """The editor of an automation."""

    def __init__(self, page: Page) -> None:
        """Store the page, and locate the form of the trigger, condition or action that is open."""
        self._page = page
        self._form = page.locator("ha-automation-sidebar")

    async def offer(self, kind: str, label: str) -> ElementDialog:
        """Open the dialog that adds a trigger, a condition or an action, and choose a label for its target."""
        await self._page.get_by_role("button", name=f"Add {kind}").click()
        dialog = self._page.locator("add-automation-element-dialog")
        await expect(dialog.get_by_role("button", name="By target")).to_be_visible()
        await dialog.get_by_role("button", name=label, exact=True).click()
        return ElementDialog(self._page, label)

    async def set_number(self, number: str) -> None:
        """Fill in the only number of the form."""
        await self._form.get_by_role("spinbutton").fill(number)

    async def write(self, text: str) -> None:
        """Fill in the only text area of the form."""
        await self._form.locator("textarea").fill(text)

    async def turn_on(self) -> None:
        """Turn on the only toggle of the form."""
        await self._form.locator("ha-switch").click()
        await expect(self._form.get_by_role("switch")).to_be_checked()

    async def close_form(self) -> None:
        """Close the form."""
        await self._form.get_by_role("button", name="Close").click()
        await expect(self._form.get_by_role("button")).to_have_count(0)

    def row(self, name: str) -> Locator:
        """Return the row of a trigger, a condition or an action."""
        return self._page.get_by_role("heading", name=name, level=3)

    async def save_as(self, name: str) -> None:
        """Save a new automation, and wait until it has an ID."""
        await self._page.get_by_role("button", name="Save").click()
        dialog = self._page.locator("ha-dialog-automation-save")
        await dialog.get_by_role("textbox", name="Name").fill(name)
        await dialog.get_by_role("button", name="Save").click()
        await expect(self._page).to_have_url(re.compile(r"/edit/\d+"))

    async def save(self) -> None:
        """Save the automation, and wait until it can have traces."""
        await self._page.get_by_role("button", name="Save").click()
        await expect(self._page.get_by_text("Traces")).to_be_visible()


class DashboardsPage:
    """Settings > Dashboards."""

    PATH = "/config/lovelace/dashboards"

    def __init__(self, page: Page) -> None:
        """Store the page."""
        self._page = page

    async def offer(self) -> None:
        """Open the dialog that adds a dashboard."""
        await self._page.get_by_role("button", name="Add dashboard").click()

    async def add(self, name: str) -> None:
        """Add one of the suggested dashboards with its defaults."""
        await self._page.locator("ha-dialog-new-dashboard").get_by_text(name, exact=True).click()
        await self._page.get_by_role("button", name="Create").click()

    async def open(self, name: str) -> DashboardPage:
        """Open a dashboard."""
        await self._page.get_by_role("link", name=name).click()
        return DashboardPage(self._page)


class DashboardPage:
    """The dashboard of the SIMs."""

    def __init__(self, page: Page) -> None:
        """Store the page, and locate the entries of the SIMs, and those of them that need attention."""
        self._page = page
        self.entries = page.locator("hui-markdown-card :is(ha-alert, p):has(b)")
        self.alerts = page.locator("hui-markdown-card ha-alert")

    async def send_sms(self, script: str, sim: str, text: str) -> None:
        """Fill in the form of a script for SMS, and run it."""
        await self._page.get_by_role("button", name=script).last.click()
        form = self._page.locator("ha-more-info-dialog")
        await choose_target(self._page, sim)
        await form.locator("textarea").fill(text)
        await form.get_by_role("button", name="Run").click()
