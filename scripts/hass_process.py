"""A real Home Assistant in its own process, controlled through its public APIs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
import json
import os
from pathlib import Path
import shutil
import sys
import time
from typing import Any, Self

from aiohttp import ClientError, ClientResponse, ClientSession

REPOSITORY = Path(__file__).resolve().parent.parent
INTEGRATION = REPOSITORY / "custom_components" / "iot_portal"

START_TIMEOUT = 180
STOP_TIMEOUT = 30
POLL_INTERVAL = 0.25


def listening(host: str, port: int) -> dict[str, Any]:
    """Return the stored HTTP settings of Home Assistant."""
    server = {
        "server_host": [host],
        "server_port": port,
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "modern",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    return {"stable": server, "pending": None, "yaml_migration_done": True}


class HomeAssistantError(Exception):
    """Home Assistant did not do what was requested."""


class HomeAssistantProcess:
    """Home Assistant with its own configuration folder, port and user."""

    def __init__(
        self,
        config_dir: Path,
        *,
        port: int,
        host: str = "127.0.0.1",
        python: Path = Path(sys.executable),
    ) -> None:
        """Store the configuration folder, the port and the Python that runs Home Assistant."""
        self.config_dir = config_dir
        self.url = f"http://{host}:{port}"
        self.log_file = config_dir / "home-assistant.log"
        self._host = host
        self._port = port
        self._python = python
        self._process: asyncio.subprocess.Process | None = None
        self._session: ClientSession | None = None
        self._token = ""

    def prepare(self, configuration: str, integration: Path = INTEGRATION) -> None:
        """Create the configuration folder with a copy of the integration, and skip the onboarding questions.

        The HTTP settings go to Home Assistant's storage, as its settings page would put them: Home Assistant
        only tries those of configuration.yaml for five minutes.
        """
        self.config_dir.mkdir(parents=True, exist_ok=True)
        (self.config_dir / "configuration.yaml").write_text(configuration)
        # The user interface writes its automations and scripts to these files.
        for name in ("automations", "scripts"):
            (self.config_dir / f"{name}.yaml").touch()
        shutil.copytree(
            integration,
            self.config_dir / "custom_components" / INTEGRATION.name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        self.store("http", 2, 2, listening(self._host, self._port))
        self.store("onboarding", 4, 1, {"done": ["core_config", "analytics", "integration"]})

    def store(self, key: str, version: int, minor_version: int, data: dict[str, Any]) -> None:
        """Write a file of Home Assistant's storage."""
        storage = self.config_dir / ".storage"
        storage.mkdir(exist_ok=True)
        content = {"version": version, "minor_version": minor_version, "key": key, "data": data}
        (storage / key).write_text(json.dumps(content))

    async def start(self, waiting: Callable[[float], None] = lambda _: None) -> None:
        """Start Home Assistant and wait until it answers; call `waiting` with the elapsed seconds."""
        # Home Assistant removes a folder of one name for all processes there.
        temporary = self.config_dir / "tmp"
        temporary.mkdir(exist_ok=True)
        with (self.config_dir / "console.log").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                str(self._python),
                "-m",
                "homeassistant",
                "--config",
                str(self.config_dir),
                # Not the checkout: Home Assistant must find the copy in its own folder.
                cwd=self.config_dir,
                env={**os.environ, "TMPDIR": str(temporary)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._session = ClientSession()
        began = time.monotonic()
        while not await self._answers():
            waited = time.monotonic() - began
            if self._process.returncode is not None or waited > START_TIMEOUT:
                msg = f"Home Assistant did not start; its log is {self.log_file}"
                raise HomeAssistantError(msg)
            waiting(waited)
            await asyncio.sleep(POLL_INTERVAL)

    async def _answers(self) -> bool:
        """Return whether Home Assistant serves its API; the onboarding route is gone once there is a user."""
        path = "/api/config" if self._token else "/api/onboarding"
        with suppress(ClientError, HomeAssistantError):
            await self.request("GET", path)
            return True
        return False

    async def stop(self) -> None:
        """Stop Home Assistant and wait until its process has ended."""
        if self._session is not None:
            await self._session.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """Return the process ID."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    async def kill(self) -> None:
        """Kill Home Assistant, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def __aenter__(self) -> Self:
        """Start Home Assistant; kill it if that fails or is interrupted."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop Home Assistant."""
        await self.stop()

    async def create_user(self, name: str, password: str) -> None:
        """Create the first user, as onboarding does, and log in."""
        client_id = f"{self.url}/"
        created = await self.request(
            "POST",
            "/api/onboarding/users",
            {
                "client_id": client_id,
                "language": "en",
                "name": name.capitalize(),
                "username": name,
                "password": password,
            },
        )
        assert self._session is not None  # noqa: S101
        async with self._session.post(
            f"{self.url}/auth/token",
            data={
                "client_id": client_id,
                "grant_type": "authorization_code",
                "code": created["auth_code"],
            },
        ) as response:
            self._token = (await response.json())["access_token"]

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """Call the REST API and return its JSON response."""
        async with self._response(method, path, body) as response:
            return await response.json()

    async def text(self, path: str) -> str:
        """Return a response that is not JSON."""
        async with self._response("GET", path, None) as response:
            return await response.text()

    @asynccontextmanager
    async def _response(self, method: str, path: str, body: Any) -> AsyncIterator[ClientResponse]:
        """Send a request and yield the response; raise an error for an error status."""
        assert self._session is not None  # noqa: S101
        async with self._session.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
        ) as response:
            if response.status >= 400:  # noqa: PLR2004
                msg = f"{method} {path}: {response.status} {await response.text()}"
                raise HomeAssistantError(msg)
            yield response

    async def command(self, kind: str, **data: Any) -> Any:
        """Send a command to the WebSocket API and return its result."""
        (result,) = await self.commands({"type": kind, **data})
        return result

    async def commands(self, *commands: dict[str, Any]) -> list[Any]:
        """Send commands to the WebSocket API, one after the other, and return their results."""
        assert self._session is not None  # noqa: S101
        results = []
        async with self._session.ws_connect(
            f"{self.url}/api/websocket",
            max_msg_size=0,  # the registry of a large fleet has more than aiohttp's 4 MB
        ) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            await socket.receive_json()
            for number, command in enumerate(commands, start=1):
                await socket.send_json({"id": number, **command})
                answer = await socket.receive_json()
                if not answer["success"]:
                    msg = f"{command['type']}: {answer['error']['message']}"
                    raise HomeAssistantError(msg)
                results.append(answer["result"])
        return results

    async def call_action(self, domain: str, action: str, data: dict[str, Any]) -> Any:
        """Call an action and return its response."""
        answer = await self.request(
            "POST", f"/api/services/{domain}/{action}?return_response", data
        )
        return answer["service_response"]

    async def action(self, domain: str, action: str, data: dict[str, Any]) -> None:
        """Call an action that has no response."""
        await self.request("POST", f"/api/services/{domain}/{action}", data)

    async def add_account(
        self, base_url: str, *, client_id: str, secret_key: str, name: str = ""
    ) -> dict[str, Any]:
        """Add an account through the config flow and return the flow's last step."""
        flow = await self.request(
            "POST", "/api/config/config_entries/flow", {"handler": "iot_portal"}
        )
        return await self._submit(
            f"/api/config/config_entries/flow/{flow['flow_id']}",
            {
                "environment": "custom",
                "client_id": client_id,
                "secret_key": secret_key,
                "name": name,
                "other": {"base_url": base_url},
            },
        )

    async def add_sims(self, entry_id: str, iccids: list[str]) -> dict[str, Any]:
        """Add SIMs below an account through the subentry flow and return the flow's last step."""
        flow = await self.request(
            "POST", "/api/config/config_entries/subentries/flow", {"handler": [entry_id, "sim"]}
        )
        path = f"/api/config/config_entries/subentries/flow/{flow['flow_id']}"
        typed = {"iccids": "\n".join(iccids)}
        summary = await self._submit_form(path, typed)
        if summary.get("step_id") != "summary" or summary["errors"]:
            msg = f"The dialog did not find the SIMs: {summary}"
            raise HomeAssistantError(msg)
        # Without the names in the summary each SIM has the one that the summary shows.
        return await self._submit(path, typed)

    async def _submit_form(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """Submit the form of a flow, wait until its progress has ended, and return the next step."""
        step: dict[str, Any] = await self.request("POST", path, data)
        while step["type"] == "progress":
            await asyncio.sleep(POLL_INTERVAL)
            step = await self.request("GET", path)
        return step

    async def _submit(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        """Submit the form of a flow that creates something."""
        step = await self._submit_form(path, data)
        if step["type"] != "create_entry":
            msg = f"The dialog did not end well: {step}"
            raise HomeAssistantError(msg)
        return step

    async def states(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the states of the integration's entities by ICCID or entry ID, then by key."""
        entities = await self.command("config/entity_registry/list")
        states = {state["entity_id"]: state for state in await self.request("GET", "/api/states")}
        owners: dict[str, dict[str, dict[str, Any]]] = {}
        for entity in entities:
            if entity["platform"] == "iot_portal" and entity["entity_id"] in states:
                owner, _, key = entity["unique_id"].partition("_")
                owners.setdefault(owner, {})[key] = states[entity["entity_id"]]
        return owners

    async def device_ids(self) -> dict[str, str]:
        """Return the device ID of each SIM by ICCID."""
        return {
            identifier: device["id"]
            for device in await self.command("config/device_registry/list")
            for domain, identifier in device["identifiers"]
            if domain == "iot_portal" and device["serial_number"] == identifier
        }
