"""The merchants' server: takes webhooks, journals each request, and is not always well.

    receiver.py CONFIG     CONFIG: {"seed", "journal", "port"}

/well… answers most requests by 200, some by 500, 503 with Retry-After, late, or by hanging up; which
follows from the seed, the message and the number of the try. /dead… never takes anything.
"""

import asyncio
import base64
import json
import os
import random
import sys
import time

ILLS = [(0.88, "ok"), (0.04, "error"), (0.03, "busy"), (0.03, "hang up"), (0.02, "slow")]


class Receiver:
    def __init__(self, config):
        self.seed, self.port = config["seed"], config["port"]
        self.journal = os.open(config["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.tries = {}

    async def run(self):
        await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=512)
        print("ready", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.read()

    async def serve(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = lines[0].split(" ")[1]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        ill = self.ill(path, headers.get("webhook-id"))
        status = {"ok": 200, "slow": 200, "error": 500, "busy": 503, "hang up": 0}[ill]
        line = {"t": time.time(), "path": path, "id": headers.get("webhook-id"),
                "timestamp": headers.get("webhook-timestamp"), "signature": headers.get("webhook-signature"),
                "body": base64.b64encode(body).decode(), "status": status}
        os.write(self.journal, (json.dumps(line) + "\n").encode())
        if ill == "hang up":
            return False
        if ill == "slow":
            await asyncio.sleep(1)
        more = "Retry-After: 2\r\n" if ill == "busy" else ""
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}\r\n".encode())
        await writer.drain()
        return True

    def ill(self, path, message):
        if path.startswith("/dead"):
            return "error"
        n = self.tries[path, message] = self.tries.get((path, message), 0) + 1
        dice = random.Random(f"{self.seed}/{path}/{n}/{(message or '')[-8:]}")
        return dice.choices([w for _, w in ILLS], [p for p, _ in ILLS])[0]


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        asyncio.run(Receiver(json.load(f)).run())
