"""More connections than there are places: one answer for each kind, and what is under way goes on."""

import json
import socket

import pytest
import websocket
from helpers import SLOW, V1, Replica, cash, free_port, wait_until

FILES = 256  # of which reli keeps 96 for itself; 40 HTTP connections, 120 WebSockets
OF_ONE = 16  # of them may watch one payment


@pytest.fixture
def small(stack, replicas, tmp_path):
    """A replica that may have few files open."""
    script = tmp_path / "reli"
    script.write_text(f'#!/bin/sh\nulimit -n {FILES}\nexec "{stack.binary}" "$@"\n')
    script.chmod(0o755)
    port = free_port()
    env = stack.env(replicas.database, RELI_LISTEN=f"127.0.0.1:{port}", RELI_PUBLIC_URL=f"http://127.0.0.1:{port}")
    replica = Replica(str(script), env, tmp_path / "serve-small.log", port)
    replica.database = replicas.database
    replicas.replicas.append(replica)
    return replica.ready()


def watch(shop, p, timeout=30):
    return websocket.create_connection(
        f"ws://127.0.0.1:{shop.port}/ws/transaction/{p['id']}?ticket={p['client_token']}", timeout=timeout * SLOW)


def test_requests_and_sockets_have_their_places(small, stack):
    shop = stack.shop(small)
    p = shop.pay()
    idle = []
    for _ in range(FILES):  # whoever asks is answered, and who has asked nothing for longest goes
        s = socket.create_connection(("127.0.0.1", small.port), timeout=30 * SLOW)
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        idle.append(s)
    assert all(s.recv(1) == b"" for s in idle[:-40])
    for s in idle[-40:]:
        s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    assert small.get("/livez").status == 200
    for s in idle:
        s.close()

    watching, payments = [], [shop.pay() for _ in range(9)]
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        while len(watching) < FILES:
            watching.append(watch(shop, payments[len(watching) // OF_ONE]))
    assert e.value.status_code == 503 and len(watching) == 120
    made = shop.pay(cash())  # payments do not notice
    assert made["status"] == p["status"]
    assert json.loads(watching[-1].recv())["type"] == "hello"
    assert small.metrics()["reli_websockets"] == 120
    for ws in watching:
        ws.shutdown()
    wait_until(lambda: small.metrics()["reli_websockets"] == 0, 10, "they are gone")
    watch(shop, p).close()


def test_who_has_one_client_token_does_not_take_all_places(small, stack):
    """A customer has it, and it may be used again and again; WebSockets and event streams count alike."""
    shop = stack.shop(small)
    p, other = shop.pay(), shop.pay()
    watching, refused = [], None
    while refused is None and len(watching) < FILES:
        try:
            watching.append(watch(shop, p))
        except websocket.WebSocketBadStatusException as e:
            refused = e
    assert (refused.status_code, len(watching)) == (503, OF_ONE)
    answer = shop.get(f"{V1}/payments/{p['id']}/events", headers={
        "Accept": "text/event-stream", "Authorization": f"Bearer {p['client_token']}"})
    assert answer.status == 503 and answer.code == "overloaded", answer
    watching.append(watch(shop, other))
    for ws in watching:
        ws.shutdown()
    wait_until(lambda: small.metrics()["reli_websockets"] == 0, 10, "they are gone")
    watch(shop, p).close()


def test_those_who_come_at_once_are_counted_too(small, stack):
    """Handshakes that wait for the database together are no more than come one by one."""
    shop = stack.shop(small)
    p = shop.pay()
    key = "GET /ws/transaction/%s?ticket=%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    raw = (key % (p["id"], p["client_token"])).encode()
    sockets = [socket.create_connection(("127.0.0.1", small.port), timeout=30 * SLOW) for _ in range(36)]
    for s in sockets:
        s.sendall(raw)
    heads = [s.recv(4096).split(b"\r\n")[0] for s in sockets]
    for s in sockets:
        s.close()
    assert sum(b" 101 " in head for head in heads) == OF_ONE, heads
    assert sum(b" 503 " in head for head in heads) == 36 - OF_ONE, heads
