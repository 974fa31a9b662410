"""Cross-origin resource sharing: what browsers ask of a server before a page may use it."""

from aiohttp import hdrs, web

from .exchange import ASSUMED, Response

# The headers of every answer.
HEADERS: dict[str, str] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "*",
}
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"


def is_preflight(raw: web.BaseRequest) -> bool:
    """Return whether a browser asks what a page may send."""
    return (
        raw.method == hdrs.METH_OPTIONS
        and hdrs.ORIGIN in raw.headers
        and hdrs.ACCESS_CONTROL_REQUEST_METHOD in raw.headers
    )


def preflight(raw: web.BaseRequest) -> Response:
    """Return the answer that allows everything."""
    # A star would not include the Authorization header.
    wanted = raw.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "*")
    return Response(
        status=204,
        headers={
            **ASSUMED,
            **HEADERS,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: wanted if wanted.isascii() else "*",
            hdrs.ACCESS_CONTROL_MAX_AGE: "600",
            # For pages of the internet; a browser counts this machine as a private network.
            "Access-Control-Allow-Private-Network": "true",
        },
    )
