"""Draw the images of the brand folder from one SVG: icon and logo, for light and dark grounds, in two sizes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
import re
import sys
from typing import Literal, NamedTuple

from playwright.async_api import async_playwright

from scripts.hass_process import INTEGRATION, REPOSITORY

from .browser import FLAGS, NO_CHROMIUM, find_chromium

SOURCE = REPOSITORY / "docs" / "brand" / "logo.svg"
FOLDER = INTEGRATION / "brand"
HEIGHT = 256
# The icon is the left part of the logo: 380 units wide, centred in a square.
VIEW_BOXES = {"icon": "-66 0 512 512", "logo": "0 0 1586 512"}
type Scheme = Literal["light", "dark"]


class Image(NamedTuple):
    """One file of the brand folder."""

    name: str
    scheme: Scheme
    view_box: str
    scale: int

    @property
    def width(self) -> int:
        """Return the width in pixels at scale 1."""
        _, _, width, height = map(int, self.view_box.split())
        return HEIGHT * width // height


def images() -> Iterator[Image]:
    """Yield all files of the brand folder."""
    schemes: dict[str, Scheme] = {"": "light", "dark_": "dark"}
    for prefix, scheme in schemes.items():
        for name, view_box in VIEW_BOXES.items():
            for suffix, scale in {"": 1, "@2x": 2}.items():
                yield Image(f"{prefix}{name}{suffix}.png", scheme, view_box, scale)


async def draw(chromium: str, folder: Path) -> None:
    """Draw all images into a folder."""
    svg = SOURCE.read_text()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for image in images():
            page = await browser.new_page(
                viewport={"width": image.width, "height": HEIGHT},
                device_scale_factor=image.scale,
                color_scheme=image.scheme,
            )
            drawing = re.sub(r'viewBox="[^"]*"', f'viewBox="{image.view_box}"', svg)
            await page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{drawing}")
            await page.screenshot(path=folder / image.name, omit_background=True)
            await page.close()
        await browser.close()


if __name__ == "__main__":
    if (found := find_chromium()) is None:
        sys.exit(NO_CHROMIUM)
    asyncio.run(draw(found, FOLDER))
