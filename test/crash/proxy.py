"""A fault proxy: every link between two processes of the suite goes through it.

    proxy.py CONFIG        CONFIG: {"seed", "journal", "links": [{"name", "kind", "listen", "to"}]}

An address is a port of 127.0.0.1 or the path of a Unix socket. Commands come on standard input, one per line:
`storm` switches the faults on, `calm` switches them off. Which faults a connection meets, and after how many
chunks, follows from the seed, the link's name and the connection's number alone (plan.faults). What was done is
journalled, one JSON object per line.
"""

import asyncio
import json
import os
import socket
import struct
import sys
import time

import plan

CHUNK = 65536


class Proxy:
    def __init__(self, config):
        self.seed = config["seed"]
        self.links = config["links"]
        self.journal = os.open(config["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.storm = False
        self.connections = {}

    def note(self, **fields):
        os.write(self.journal, (json.dumps(fields) + "\n").encode())

    async def run(self):
        for link in self.links:
            await self.open(link)
        print("ready", flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while True:
            word = (await reader.readline()).decode().strip()
            if word == "":
                return
            self.storm = word == "storm"
            print(word, flush=True)

    async def open(self, link):
        def accepted(reader, writer):
            return self.carry(link, reader, writer)

        if isinstance(link["listen"], int):
            await asyncio.start_server(accepted, "127.0.0.1", link["listen"], limit=CHUNK, backlog=512)
        else:
            await asyncio.start_unix_server(accepted, link["listen"], limit=CHUNK, backlog=512)
            os.chmod(link["listen"], 0o777)

    async def carry(self, link, reader, writer):
        number = self.connections[link["name"]] = self.connections.get(link["name"], 0) + 1
        try:
            if isinstance(link["to"], int):
                there = await asyncio.open_connection("127.0.0.1", link["to"], limit=CHUNK)
            else:
                there = await asyncio.open_unix_connection(link["to"], limit=CHUNK)
        except OSError:
            cut(writer)
            return
        await Pair(self, link, number, (reader, writer), there).run()


class Pair:
    """One connection, and what happens to it."""

    def __init__(self, proxy, link, number, here, there):
        self.proxy, self.link, self.number = proxy, link, number
        self.here, self.there = here, there
        self.faults = plan.faults(proxy.seed, link["name"], link["kind"], number)
        self.gap, self.fault, self.size = next(self.faults)
        self.reply = None  # what shall happen to the next reply

    async def run(self):
        pumps = [asyncio.create_task(self.up()), asyncio.create_task(self.down())]
        try:
            await asyncio.gather(*pumps)
        except (OSError, asyncio.IncompleteReadError):
            self.cut()
        finally:
            for pump in pumps:
                pump.cancel()

    def cut(self):
        cut(self.here[1])
        cut(self.there[1])

    def note(self, fault):
        self.proxy.note(t=time.time(), link=self.link["name"], connection=self.number, fault=fault)

    async def up(self):
        """From who asks to who answers."""
        reader, writer = self.here[0], self.there[1]
        while data := await reader.read(CHUNK):
            fault, size = self.due()
            if fault == "stall":
                self.note(fault)
                await asyncio.sleep(size)
            elif fault == "lost_request":
                self.note(fault)
                self.cut()
                return
            elif fault == "half_request":
                self.note(fault)
                writer.write(data[:len(data) // 2])
                await writer.drain()
                self.cut()
                return
            elif fault is not None:
                self.reply = (fault, size)
            writer.write(data)
            await writer.drain()
        half_close(writer)

    def due(self):
        """The fault that this chunk meets, and its size."""
        if not self.proxy.storm:
            return None, 0
        self.gap -= 1
        if self.gap > 0:
            return None, 0
        fault, size = self.fault, self.size
        self.gap, self.fault, self.size = next(self.faults)
        return fault, size

    async def down(self):
        reader, writer = self.there[0], self.here[1]
        while data := await reader.read(CHUNK):
            if self.reply is not None:
                (fault, size), self.reply = self.reply, None
                self.note(fault)
                if fault == "stall_reply":
                    await asyncio.sleep(size)
                else:
                    if fault == "half_reply":
                        writer.write(data[:len(data) // 2])
                        await writer.drain()
                    self.cut()
                    return
            writer.write(data)
            await writer.drain()
        half_close(writer)


def half_close(writer):
    if writer.can_write_eof() and not writer.transport.is_closing():
        writer.write_eof()
    else:
        writer.close()


def cut(writer):
    """A reset, where the protocol has such a thing."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_INET:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    writer.transport.abort()


if __name__ == "__main__":
    with open(sys.argv[1]) as f:
        asyncio.run(Proxy(json.load(f)).run())
