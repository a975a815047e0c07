"""The sandbox's gateway as a process, for `tests.bench`."""

import json
import threading

from rotator.sandbox.server import GatewayServer

if __name__ == "__main__":
    with GatewayServer() as server:
        bearer = server.account.bootstrap.plaintext
        print(json.dumps({"url": server.url, "control": server.control_url, "bearer": bearer}), flush=True)
        threading.Event().wait()
