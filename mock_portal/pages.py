"""What the portal serves to people and tools outside of the API: a page, and the description of the API."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
import hashlib
from pathlib import Path
import re

from .exchange import CONTROL, JSON_TYPE, YAML_TYPE, Request, Response, to_json
from .routes import PREFIXES

_FOLDER = Path(__file__).parent
_SERVERS = re.compile(r"^servers:\n(?: .*\n)+", re.MULTILINE)
_LINKS = ", ".join(
    f'<{path}>; rel="service-desc"' for path in ("/openapi.yaml", "/_mock/openapi.yaml")
)
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Something to GET."""

    description: str
    show: Callable[[Request], Response]


def find(request: Request) -> Response | None:
    """Return the page that a request asks for, or None."""
    page = PAGES.get(request.path)
    return page.show(request) if page and request.method in {"GET", "HEAD"} else None


def _show_page(request: Request) -> Response:
    """Return the page to look at, or to a program the addresses."""
    accepted = request.header("Accept") or ""
    root = request.root
    if "application/json" in accepted and "text/html" not in accepted:
        addresses = {
            "base_url": f"{root}{PREFIXES[0]}",
            "control": f"{root}/_mock/",
            "openapi": f"{root}/openapi.yaml",
            "control_openapi": f"{root}/_mock/openapi.yaml",
        }
        return Response(
            headers={"Content-Type": JSON_TYPE, "Link": _LINKS, "Vary": "Accept", **CONTROL},
            body=to_json(addresses),
        )
    text, policy = _page()
    return Response(
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
            "Link": _LINKS,
            "Vary": "Accept",
            **CONTROL,
        },
        body=text.encode(),
    )


@cache
def _page() -> tuple[str, str]:
    """Return the page, and a policy that allows its own script and style and nothing else."""
    text = (_FOLDER / "page.html").read_text(encoding="utf-8")
    sources = {
        kind: base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        for kind, inline in _INLINE.findall(text)
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{sources['script']}'; "
        f"style-src 'sha256-{sources['style']}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return text, policy


def _show_openapi(request: Request) -> Response:
    """Return the description of the API, with the address of this portal as its only server."""
    servers = "".join(f"  - url: {request.root}{prefix}\n" for prefix in PREFIXES)
    text = _SERVERS.sub(f"servers:\n{servers}", _openapi())
    return Response(headers={"Content-Type": YAML_TYPE, **CONTROL}, body=text.encode())


@cache
def _openapi() -> str:
    """Return the file that describes the API."""
    return (_FOLDER / "openapi.yaml").read_text(encoding="utf-8")


PAGES = {
    "/": Page(description="a page to look at, and to control the portal", show=_show_page),
    "/openapi.yaml": Page(description="the API as OpenAPI", show=_show_openapi),
    # Browsers ask for it by themselves, which must not show in the journal.
    "/favicon.ico": Page(
        description="nothing", show=lambda _: Response(status=204, headers=CONTROL)
    ),
}
