"""One subscriber of one payment: it connects again after every loss, from where it was, and journals each frame."""

import json
import socket
import threading
import time

import websocket


class Watcher(threading.Thread):
    def __init__(self, key, payment, ports, journal):
        super().__init__(daemon=True)
        self.key, self.payment, self.ports, self.journal = key, payment, ports, journal
        self.after = 0          # the last seq that was read
        self.connections = 0
        self.direct = None      # set: read to the end without faults, then be gone
        self.ws = None
        self.lock = threading.Lock()

    def finish(self, direct):
        with self.lock:
            self.direct = direct
            if self.ws is not None:  # wakes the thread that reads
                self.ws.sock.shutdown(socket.SHUT_RDWR)

    def run(self):
        while self.direct is None:
            try:
                self.read(self.ports[self.connections % len(self.ports)])
            except (OSError, ValueError, websocket.WebSocketException):
                time.sleep(0.2)
        ends = time.monotonic() + 90
        while time.monotonic() < ends:
            try:
                if self.read(self.direct[0]) and self.replay(self.direct[-1]):
                    return
            except (OSError, ValueError, websocket.WebSocketException):
                time.sleep(0.2)

    def connect(self, port, after):
        self.connections += 1
        return websocket.create_connection(
            f"ws://127.0.0.1:{port}/ws/transaction/{self.payment}?after={after}", timeout=10,
            suppress_origin=True, header={"Authorization": "Bearer " + self.key})  # a program, no page

    def frame(self, ws, number, after):
        frame = json.loads(ws.recv())
        self.journal.write(payment=self.payment, connection=number, after=after, frame=frame)
        return frame

    def read(self, port):
        """Frames until the connection is lost; at the end, until the newest event: then True."""
        ws, after = self.connect(port, self.after), self.after
        number = self.connections
        with self.lock:
            self.ws = ws
        ending = self.direct is not None
        try:
            newest = self.frame(ws, number, after)["seq"]
            ws.settimeout(30 if ending else None)
            while not ending or self.after < newest:
                self.after = max(self.after, self.frame(ws, number, after)["seq"])
            return True
        finally:
            with self.lock:
                self.ws = None
            ws.shutdown()

    def replay(self, port):
        """Everything from the beginning, once more."""
        ws = self.connect(port, 0)
        number = self.connections
        try:
            newest, seen = self.frame(ws, number, 0)["seq"], 0
            while seen < newest:
                seen = self.frame(ws, number, 0)["seq"]
            return True
        finally:
            ws.shutdown()
