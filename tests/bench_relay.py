"""TLS before a plain server, 20 ms away in each direction, for `tests.bench`."""

import asyncio
import contextlib
import ssl
import sys
from urllib.parse import urlsplit

DELAY = 0.02


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, each part after `delay` seconds."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if delay:
                loop.call_later(delay, writer.write, data)
            else:
                writer.write(data)
    loop.call_later(delay, writer.close)


async def main(url: str, certificate: str, key: str, accepted: str) -> None:
    target = urlsplit(url)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    async def near(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(pump(reader, pair[1], 0), pump(pair[0], writer, 0))

    inner = await asyncio.start_server(near, "127.0.0.1", 0, ssl=tls)
    port = inner.sockets[0].getsockname()[1]

    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with open(accepted, "ab") as file:
            file.write(b".")
        pair = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, pair[1], DELAY), pump(pair[0], writer, DELAY))

    outer = await asyncio.start_server(far, "127.0.0.1", 0)
    print(outer.sockets[0].getsockname()[1], flush=True)
    await outer.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
