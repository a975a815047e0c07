"""The one endpoint of a Kubernetes API server that Vault asks: whose service account is a token of?"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

NAMESPACE, ACCOUNT = "keys", "rotator"
ISSUER = "https://kubernetes.default.svc"


@contextmanager
def reviewing(known: set[str], cert: Path, key: Path) -> Iterator[str]:
    """Take the tokens in `known`, which may change, for the service account's; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/apis/authentication.k8s.io/v1/tokenreviews"
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = review["spec"]
            review["status"] = {
                "authenticated": asked["token"] in known,
                "user": _USER,
                "audiences": asked.get("audiences", []),
            }
            content = json.dumps(review).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_USER = {
    "username": f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
    "uid": "5d3a1f0e-uid",
    "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
}


def claims(number: int) -> dict[str, object]:
    """What the token of a service account says; `number` makes one differ from the next."""
    return {
        "iss": ISSUER,
        "sub": _USER["username"],
        "aud": ["vault"],
        "exp": 4_000_000_000,
        "jti": str(number),
        "kubernetes.io": {"namespace": NAMESPACE, "serviceaccount": {"name": ACCOUNT, "uid": _USER["uid"]}},
    }
