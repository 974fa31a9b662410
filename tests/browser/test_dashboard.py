"""The dashboard of a fleet on a phone: what needs attention is on the first screen, and everything fits."""

from pathlib import Path
from typing import Any

from playwright.async_api import expect
import pytest

from .browser import visiting
from .pages import DashboardPage, DashboardsPage
from .screenshots import DASHBOARD, FLEET, PHONE, fleet_scenario, running, set_up_fleet

WIDTH, HEIGHT = PHONE
# Texts and elements of all shadow roots.
WALK = """
  const walk = (root, visit) => root.querySelectorAll("*").forEach((element) => {
    visit(element);
    if (element.shadowRoot) walk(element.shadowRoot, visit);
  });
"""
# What is beside the screen, or has more in it than it shows.
TOO_WIDE = f"""() => {{ {WALK}
  const found = [];
  walk(document.querySelector("home-assistant"), (element) => {{
    if (!element.closest("hui-card, hui-badge, hui-markdown-card") && !element.getRootNode().host) return;
    const box = element.getBoundingClientRect();
    const isCard = element.localName === "ha-card" || element.localName === "ha-markdown";
    if (box.width && element.checkVisibility() && element.closest("ha-card, ha-alert") && box.right > {WIDTH})
      found.push(`${{element.localName}} ends at ${{box.right}}`);
    if (isCard && element.scrollWidth > element.clientWidth)
      found.push(`${{element.localName}} has ${{element.scrollWidth}} in ${{element.clientWidth}}`);
  }});
  return found;
}}"""


@pytest.mark.timeout(300)
async def test_phone(tmp_path: Path, chromium: str, socket_enabled: None) -> None:
    """With 64 SIMs on a phone each SIM is there once, those that need attention on the first screen."""
    phone: dict[str, Any] = {"viewport": {"width": WIDTH, "height": HEIGHT}}
    async with running(fleet_scenario(FLEET)) as (hass, portal):
        await set_up_fleet(hass, portal)
        async with visiting(hass.url, chromium, tmp_path, **phone) as visit:
            await visit.log_in("demo", "demo")
            await visit.open(f"/{DASHBOARD}")
            dashboard = DashboardPage(visit.page)

            await expect(dashboard.entries).to_have_count(FLEET)
            names = await dashboard.entries.locator("b").all_inner_texts()
            assert len(set(names)) == FLEET
            alerts = await dashboard.alerts.count()
            assert alerts >= 3
            await expect(
                visit.page.get_by_text(f"Needs attention: {alerts} of {FLEET}")
            ).to_be_visible()
            for number in range(alerts):
                box = await dashboard.alerts.nth(number).bounding_box()
                assert box is not None
                assert box["y"] + box["height"] < HEIGHT
            await visit.look("phone")
            for tab in ("SIMs", "Activity"):
                await visit.page.get_by_role("radio", name=tab).click()
                assert await visit.page.evaluate(TOO_WIDE) == []
                assert await visit.page.evaluate("document.body.scrollWidth") == WIDTH

        async with visiting(
            hass.url,
            chromium,
            tmp_path,
        ) as visit:
            await visit.log_in("demo", "demo")
            await visit.page.evaluate("localStorage.setItem('selectedLanguage', '\"de\"')")
            await visit.open(DashboardsPage.PATH)
            await visit.page.get_by_role("button", name="Dashboard hinzufügen").click()
            dialog = visit.page.locator("ha-dialog-new-dashboard")
            await expect(dialog.get_by_text("SIM-Karten", exact=True)).to_be_visible()
            await visit.look("add_dashboard_de")
