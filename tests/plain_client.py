"""A plain HTTP client of the sandbox's gateway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from rotator.sandbox.server import GatewayServer


@dataclass(frozen=True)
class Answer:
    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def data(self) -> Any:
        return self.json["data"]


class Client:
    """One kept-alive connection with the bootstrap key as the bearer."""

    def __init__(self, server: GatewayServer) -> None:
        self.connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.headers = {
            "Authorization": f"Bearer {server.account.bootstrap.plaintext}",
            "Content-Type": "application/json",
        }

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.connection.request(method, f"/api/v1{path}", raw, sent)
        answer = self.connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()), answer.headers)  # type: ignore[arg-type]
