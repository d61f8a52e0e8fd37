"""RFC 6455 by hand-made frames, against a server that has to keep to its letter. Numbers are its sections."""

import itertools
import json
import socket
import struct

import pytest
from helpers import SLOW, V1, Clock, answers, cash, exchange, read_all, wait_until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # 1.3
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
LARGEST = 64 * 1024  # a message, as README says


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, form=None, length=None):
    """A frame. `form` chooses a way to write the length (7, 16 or 64 bits), `length` what it says."""
    length = len(payload) if length is None else length
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 128 if mask else 0
    head += {7: lambda: bytes([bit | length]), 16: lambda: struct.pack(">BH", bit | 126, length),
             64: lambda: struct.pack(">BQ", bit | 127, length)}[form]()
    return head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload)


def close(code=None, reason=b""):
    return frame(CLOSE, (b"" if code is None else struct.pack(">H", code)) + reason)


class Wire:
    """A connection after its handshake: frames as they are."""

    def __init__(self, port, request, buffer=None):
        self.s = socket.socket()
        self.s.settimeout(10 * SLOW)
        if buffer is not None:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.s.connect(("127.0.0.1", port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.sendall(request)
        self.seen = b""
        while b"\r\n\r\n" not in self.seen:
            self.fill()
        head, _, self.seen = self.seen.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.head = head.decode()

    def fill(self):
        more = self.s.recv(65536)
        assert more, f"the connection ended after {self.seen!r}"
        self.seen += more

    def take(self, n):
        while len(self.seen) < n:
            self.fill()
        out, self.seen = self.seen[:n], self.seen[n:]
        return out

    def frame(self):
        """The next one: (opcode, payload). A server's has no mask (5.1), and ours come in one piece."""
        first, second = self.take(2)
        assert first & 0x70 == 0 and first & 0x80 and second < 128
        n = second
        if n == 126:
            (n,) = struct.unpack(">H", self.take(2))
            assert n > 125
        elif n == 127:
            (n,) = struct.unpack(">Q", self.take(8))
            assert n > 65535
        return first & 15, self.take(n)

    def send(self, *frames):
        self.s.sendall(b"".join(frames))
        return self

    def send_slowly(self, data):
        for i in range(len(data)):
            self.s.sendall(data[i:i + 1])
        return self

    def alive(self):
        """It answers, and with nothing else before."""
        self.send(frame(PING, b"alive?"))
        assert self.frame() == (PONG, b"alive?")

    def closed_with(self, code):
        """The next frame is a Close with this code (None: without one), then the connection ends (7.1.1)."""
        opcode, payload = self.frame()
        assert opcode == CLOSE, (opcode, payload)
        assert payload[:2] == (b"" if code is None else struct.pack(">H", code)), payload
        assert self.seen + read_all(self.s, 10) == b"", "frames after Close"
        self.s.close()


@pytest.fixture(scope="module")
def site(stack, tmp_path_factory):
    """One replica for all, on a test clock."""
    clock = Clock(tmp_path_factory.mktemp("rfc6455") / "clock")
    replica = stack.serve(stack.database(), clock=clock).ready()
    clock.replicas.append(replica)
    shop = stack.shop(replica)
    shop.clock = clock
    shop.payment = shop.pay()
    yield shop
    stack.leave(replica)


def upgrade(path, **headers):
    """A handshake's request; a header of None is left out, a list is sent line by line."""
    lines = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": KEY} | {k.replace("_", "-"): v for k, v in headers.items()}
    text = f"GET {path} HTTP/1.1\r\n"
    for name, value in lines.items():
        for one in value if isinstance(value, list) else [value]:
            text += f"{name}: {one}\r\n" if one is not None else ""
    return (text + "\r\n").encode()


def transaction(shop):
    p = shop.payment
    return f"/ws/transaction/{p['id']}?after=2&ticket={p['client_token']}"


@pytest.fixture
def path(site):
    return transaction(site)


@pytest.fixture
def opened(site, path):
    """opened() is a new connection, past its hello."""
    made = []

    def one(buffer=None, **headers):
        w = Wire(site.port, upgrade(path, **headers), buffer)
        made.append(w)
        opcode, payload = w.frame()
        assert opcode == TEXT and json.loads(payload)["type"] == "hello"
        return w

    yield one
    for w in made:
        w.s.close()


# ---- the opening handshake (4) ----


def test_the_handshake(opened):
    for headers in ({}, {"Upgrade": "WebSocket"}, {"Connection": "keep-alive, Upgrade"}, {"Upgrade": "h2c, websocket"}):
        w = opened(**headers)
        lines = [line.lower() for line in w.head.split("\r\n")]
        assert f"sec-websocket-accept: {ACCEPT.lower()}" in lines
        assert "upgrade: websocket" in lines and "connection: upgrade" in lines
        w.alive()


def test_what_is_offered_is_not_agreed_to(opened):
    """4.2.2: neither a subprotocol nor an extension that the server does not speak."""
    w = opened(Sec_WebSocket_Protocol="chat, superchat", Sec_WebSocket_Extensions="permessage-deflate, x-y; z=1")
    assert "sec-websocket-protocol" not in w.head.lower() and "sec-websocket-extensions" not in w.head.lower()
    w.alive()
    w.send(frame(TEXT, b"x", rsv=4)).closed_with(1002)  # as if it were compressed


def refused(site, request):
    (status, headers, body), = answers(exchange(site.port, request, close=True))
    return status, headers, json.loads(body)["code"]


@pytest.mark.parametrize("headers", [
    {"Sec_WebSocket_Version": version} for version in (None, "", "0", "8", "12", "14", "013", "13, 8", ["13", "8"], "x")
] + [{"Upgrade": None}, {"Upgrade": "h2c"}, {"Connection": None}, {"Connection": "keep-alive"}], ids=str)
def test_not_this_protocol(site, path, headers):
    """4.4: who speaks another version is told ours."""
    status, got, code = refused(site, upgrade(path, **headers))
    assert (status, code) == (426, "upgrade_required")
    assert got["sec-websocket-version"] == "13" and got["upgrade"] == "websocket"
    lines = exchange(site.port, upgrade(path, **headers), close=True).lower().split(b"\r\n")
    assert b"connection: upgrade" in lines, "who sends Upgrade says so in Connection (RFC 9110, 7.8)"


@pytest.mark.parametrize("key", [
    None, "", "short", "A" * 24, "!" * 22 + "==", KEY[:-1], KEY + "=", KEY[:-2], "dGhlIHNhbXBsZSBub25jZTE=",
    "dGhlIHNhbXBsZSBub25j", [KEY, KEY], f"{KEY}, {KEY}", "A" * 3000], ids=str)
def test_keys_that_are_none(site, path, key):
    """4.2.1: sixteen bytes in base64."""
    status, _, code = refused(site, upgrade(path, Sec_WebSocket_Key=key))
    assert (status, code) == (400, "bad_request")


def test_http_1_0_and_other_methods(site, path):
    status, _, code = refused(site, upgrade(path).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (status, code) == (426, "upgrade_required")
    assert refused(site, upgrade(path).replace(b"GET ", b"POST "))[0] == 405
    head = exchange(site.port, upgrade(path).replace(b"GET ", b"HEAD "), close=True)
    assert head.startswith(b"HTTP/1.1 426 ") and head.endswith(b"\r\n\r\n"), "4.1: the method must be GET"


def test_frames_glued_to_the_handshake(site, path):
    """Nobody should, but TCP knows no borders."""
    w = Wire(site.port, upgrade(path) + frame(PING, b"early") + frame(PING, b"bird"))
    assert sorted([w.frame()[0], w.frame()[0], w.frame()[0]]) == [TEXT, PONG, PONG]
    w.alive()


# ---- frames (5) ----


@pytest.mark.parametrize("bad", [
    frame(TEXT, b"a", mask=None), frame(PING, mask=None), frame(CLOSE, mask=None),               # 5.1
    *(frame(TEXT, b"a", rsv=rsv) for rsv in range(1, 8)),                                        # 5.2
    frame(PING, rsv=4), frame(CLOSE, rsv=2),
    *(frame(opcode, payload) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for payload in (b"", b"abc")),
    frame(TEXT, b"a" * 125, form=16), frame(TEXT, b"", form=16), frame(TEXT, b"a" * 125, form=64),
    frame(TEXT, b"a" * 65535, form=64),
    frame(TEXT, b"a", form=64, length=1 << 63), frame(TEXT, b"a", form=64, length=(1 << 64) - 1),
    frame(PING, fin=False), frame(PONG, b"x", fin=False), frame(CLOSE, fin=False),               # 5.4, 5.5
    frame(PING, b"a" * 126), frame(PONG, b"a" * 126), frame(CLOSE, b"\x03\xe8" + b"a" * 124),
    frame(PING, b"a" * 125, form=16), frame(PING, b"a" * 5, form=64),
    frame(CONT), frame(CONT, b"a", fin=False),
    frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    frame(TEXT, b"a", fin=False) + frame(TEXT, b"b", fin=False),
    frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
    frame(TEXT, b"", fin=False) + frame(TEXT, b"b"),
    frame(TEXT, b"a", fin=False) + frame(CONT, b"b") + frame(CONT, b"c"),
    frame(TEXT, b"a", fin=False) + frame(CONT, b"b", rsv=4),
    frame(TEXT, b"a", fin=False) + frame(CONT, b"b", mask=None),
])
def test_against_the_protocol(opened, bad):
    opened().send(bad).closed_with(1002)
    w = opened()
    try:
        w.send_slowly(bad[:40])
        w.send(bad[40:])
    except (BrokenPipeError, ConnectionResetError):
        pass  # it had heard enough
    w.closed_with(1002)


def test_binary_messages(opened):
    """7.4.1: a type that is not taken."""
    opened().send(frame(BINARY, b"\x00\xff")).closed_with(1003)
    opened().send(frame(BINARY)).closed_with(1003)
    opened().send(frame(BINARY, b"a", fin=False)).closed_with(1003)


def test_text_is_let_pass(opened):
    w = opened()
    for n in (0, 1, 125, 126, 127, 65535, LARGEST):
        w.send(frame(TEXT, b"x" * n)).alive()
    w.send(frame(TEXT, fin=False), *[frame(CONT, b"x" * i, fin=False) for i in range(200)], frame(CONT)).alive()
    w.send(frame(TEXT, b"\0{}")).alive()
    w.send(frame(TEXT, "ünï ☃ 𝄞".encode(), mask=b"\0\0\0\0")).alive()


def test_messages_that_are_too_big(opened):
    """At the first byte of what is too much, not after the last."""
    opened().send(frame(TEXT, b"a" * (LARGEST + 1))).closed_with(1009)
    opened().send(frame(TEXT, b"a", length=LARGEST + 1)).closed_with(1009)
    opened().send(frame(TEXT, b"a", length=(1 << 63) - 1)).closed_with(1009)
    half = b"a" * (LARGEST // 2)
    opened().send(frame(TEXT, half, fin=False), frame(CONT, half)).alive()
    opened().send(frame(TEXT, half, fin=False), frame(CONT, half, fin=False), frame(CONT)).alive()
    opened().send(frame(TEXT, half, fin=False), frame(CONT, half, fin=False), frame(CONT, b"a")).closed_with(1009)
    opened().send(frame(TEXT, half, fin=False), frame(PING, b"x"), frame(CONT, b"a", length=LARGEST // 2 + 1))
    w = opened().send(frame(TEXT, half, fin=False), frame(CONT, half + b"a"))
    w.closed_with(1009)


# ---- pings (5.5.2, 5.5.3) ----


def test_pings_are_answered_in_order(opened):
    w = opened()
    payloads = [b"", b"a", b"\0" * 125, bytes(range(125))] + [str(i).encode() for i in range(50)]
    w.send(*(frame(PING, p) for p in payloads))
    assert [w.frame() for _ in payloads] == [(PONG, p) for p in payloads]


def test_pings_within_a_message(opened):
    w = opened()
    parts = "größe".encode() * 3
    for i, byte in enumerate(parts):
        w.send(frame(TEXT if i == 0 else CONT, bytes([byte]), fin=i == len(parts) - 1), frame(PING, b"%d" % i))
        assert w.frame() == (PONG, b"%d" % i)
    w.send(frame(TEXT, b"", fin=False), frame(PONG, b"q"), frame(PING), frame(CONT, b"", fin=False),
           frame(PING, b"1"), frame(CONT))
    assert [w.frame(), w.frame()] == [(PONG, b""), (PONG, b"1")]
    w.alive()


def test_pongs_that_nobody_asked_for(opened):
    opened().send(frame(PONG), frame(PONG, b"x" * 125), frame(PONG)).alive()


def test_pongs_go_out_before_the_goodbye(opened):
    w = opened().send(frame(PING, b"1"), frame(PING, b"2"), frame(CONT))
    assert [w.frame(), w.frame()] == [(PONG, b"1"), (PONG, b"2")]
    w.closed_with(1002)


def test_who_pings_and_does_not_read(opened):
    """What waits for a client has a maximum, pongs too: he is told to try later."""
    n = 120000  # far more than the kernel takes
    w = opened(buffer=4096)
    pings = frame(PING, b"a" * 125) * 1000
    for _ in range(n // 1000):
        w.send(pings)
    pongs = 0
    while (got := w.frame()) == (PONG, b"a" * 125):
        pongs += 1
    assert got == (CLOSE, struct.pack(">H", 1013)) and pongs < n
    w.send(close(1013))
    assert w.seen + read_all(w.s, 10) == b""


# ---- text is UTF-8 (8.1) ----

GOOD = ["κόσμε", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff", "\0",
        "\ufeff", "a\u0300"]
BAD = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2\x41", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
       b"\xed\xbf\xbf", b"\xe2\x28\xa1", b"\xe2\x82\x28", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x9d\x28\x9e",
       b"\xf0\x9d\x84\x28", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff",
       b"\xed\xa0\x80\xed\xb0\x80"]
UNFINISHED = [b"\xc2", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9d", b"\xf0\x9d\x84", b"ok\xf4\x8f\xbf"]


def cuts(text):
    """In two fragments at every byte, and in fragments of one byte."""
    for i in range(len(text) + 1):
        yield frame(TEXT, text[:i], fin=False) + frame(CONT, text[i:])
    yield frame(TEXT, text[:1], fin=False) + b"".join(
        frame(CONT, text[i:i + 1], fin=i == len(text) - 1) for i in range(1, len(text))) if len(text) > 1 else \
        frame(TEXT, text)


def test_good_text_in_all_pieces(opened):
    w = opened()
    for text in GOOD:
        for way in cuts(("a" + text).encode()):
            w.send(way)
    w.alive()
    w.send_slowly(frame(TEXT, "κόσμε".encode(), fin=False) + frame(CONT, "𝄞".encode())).alive()


@pytest.mark.parametrize("text", BAD + UNFINISHED, ids=bytes.hex)
def test_bad_text_in_all_pieces(opened, text):
    for way in itertools.chain([frame(TEXT, text), frame(TEXT, b"caf\xc3\xa9 " + text)], cuts(text)):
        opened().send(way).closed_with(1007)


@pytest.mark.parametrize("text", BAD, ids=bytes.hex)
def test_bad_text_is_found_at_once(opened, text):
    """Not when the message ends."""
    opened().send(frame(TEXT, text, fin=False)).closed_with(1007)
    w = opened()
    w.send(frame(TEXT, b"a" * 1000, length=2000)[:1008] + bytes(b ^ MASK[i % 4] for i, b in enumerate(text)))
    w.closed_with(1007)


def test_a_character_that_is_not_finished_may_wait(opened):
    w = opened()
    for text in UNFINISHED:
        w.send(frame(TEXT, text, fin=False)).alive()
        w.send(frame(CONT, b"", fin=False)).alive()
        w.send(frame(CONT, b"", fin=True)).closed_with(1007)
        w = opened()


# ---- the closing handshake (5.5.1, 7) ----


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
                                  4000, 4999])
def test_a_goodbye_is_echoed(opened, code):
    opened().send(close(code)).closed_with(code)
    opened().send(close(code, "tschüß".encode())).closed_with(code)


def test_a_goodbye_without_a_code(opened):
    opened().send(close()).closed_with(None)


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_codes_that_may_not_be_sent(opened, code):
    opened().send(close(code)).closed_with(1002)
    opened().send(close(code, b"why")).closed_with(1002)


def test_goodbyes_that_are_wrong(opened):
    opened().send(frame(CLOSE, b"\x03")).closed_with(1002)
    for text in BAD + UNFINISHED:
        opened().send(close(1000, text)).closed_with(1007)
    opened().send_slowly(close(1000, b"caf\xc3\xa9 \xff")).closed_with(1007)


def test_a_goodbye_byte_by_byte(opened):
    opened().send_slowly(close(1000, "größe, κόσμε, 𝄞".encode())).closed_with(1000)
    opened().send_slowly(close(1000, b"a" * 123)).closed_with(1000)


def test_a_goodbye_within_a_message(opened):
    opened().send(frame(TEXT, b"a", fin=False), close(1000)).closed_with(1000)


def test_nothing_is_heard_after_a_goodbye(opened):
    opened().send(close(1001), frame(PING, b"x"), frame(CONT), close(1000)).closed_with(1001)


def test_a_connection_that_ends_in_the_middle(opened, site):
    """Whoever just hangs up is forgotten."""
    for rest in (b"", frame(TEXT, b"hello")[:1], frame(TEXT, b"hello")[:8], frame(TEXT, b"a", fin=False)):
        w = opened()
        w.send(rest)
        w.s.shutdown(socket.SHUT_WR)
        read_all(w.s, 10)
    wait_until(lambda: site.replica.metrics()["reli_websockets"] == 0, what="all are gone")


def test_the_other_channels(site):
    """The same socket behind other names."""
    p = site.pay(cash(customer={"id": "cust-1"}))
    wait_until(lambda: p["id"] in [e["payment_id"] for e in site.get(V1 + "/events?limit=100").json["data"]
                                   if e["type"] == "payment.requires_action"], what="its events are in the log")
    for channel in ("/ws/merchant", "/ws/user/cust-1", V1 + "/ws/merchant"):
        def opened(channel=channel):
            w = Wire(site.port, upgrade(channel, Authorization=f"Bearer {site.key}"))
            assert json.loads(w.frame()[1])["type"] == "hello"
            return w
        opened().send(frame(TEXT, b"a", fin=False), frame(PONG), frame(CONT, b"b")).alive()
        opened().send(frame(TEXT, b"a", mask=None)).closed_with(1002)
        opened().send(frame(TEXT, b"\xff")).closed_with(1007)
        opened().send(frame(BINARY)).closed_with(1003)
        opened().send(close(1000)).closed_with(1000)
        assert refused(site, upgrade(channel, Sec_WebSocket_Version="8"))[0] == 426
        assert refused(site, upgrade(channel, Sec_WebSocket_Key=None))[0] == 400


# ---- pieces of TCP ----


def test_frames_byte_by_byte(opened):
    w = opened()
    w.send_slowly(frame(PING, b"slow") + frame(TEXT, b"x" * 130) + frame(TEXT, b"a", fin=False) +
                  frame(PING, b"slower", form=7) + frame(CONT, b"b"))
    assert [w.frame(), w.frame()] == [(PONG, b"slow"), (PONG, b"slower")]
    w.alive()


def test_many_frames_at_once(opened):
    w = opened()
    data = b"".join(frame(TEXT, b"x" * (i % 300)) + frame(PING, b"%d" % i) for i in range(1000))
    for at in range(0, len(data), 5001):
        w.send(data[at:at + 5001])
    assert [w.frame() for _ in range(1000)] == [(PONG, b"%d" % i) for i in range(1000)]


# ---- who does not answer ----


def watcher_of_a_key(site):
    """A connection that the server will say goodbye to: its key is revoked."""
    made = site.post(V1 + "/api-keys", {"name": "watcher", "scopes": ["payments:read"]})
    assert made.status == 201, made
    w = Wire(site.port, upgrade(f"/ws/transaction/{site.payment['id']}?after=2",
                                Authorization=f"Bearer {made.json['key']}"))
    assert w.frame()[0] == TEXT
    assert site.request("DELETE", f"{V1}/api-keys/{made.json['id']}").status in (200, 204)
    site.clock.advance(2)
    assert w.frame() == (CLOSE, struct.pack(">H", 1008))
    return w


def test_our_goodbye_and_their_answer(site):
    w = watcher_of_a_key(site)
    w.send(frame(PING, b"x"), frame(TEXT, b"late"), close(1008), frame(PING))
    assert w.seen + read_all(w.s, 10) == b"", "after Close nothing is sent, pongs neither (5.5.1)"
    w.s.close()


def test_our_goodbye_is_never_answered(site):
    """7.1.1: five seconds, then the server ends the connection; who does not end his own side is cut."""
    w = watcher_of_a_key(site)
    w.send(frame(PING, b"still here"))
    w.s.setblocking(False)
    with pytest.raises(BlockingIOError):
        w.s.recv(1)
    w.s.settimeout(10 * SLOW)
    site.clock.advance(6)
    assert w.s.recv(1) == b"", "our side has ended"
    site.clock.advance(2)

    def cut():
        try:
            w.send(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False
    wait_until(cut, what="the connection is cut")
    w.s.close()


def test_who_does_not_answer_pings_is_gone(opened, site):
    silent, awake = opened(), opened()
    site.clock.advance(31)
    assert silent.frame() == awake.frame() == (PING, b"")
    awake.send(frame(PONG))
    awake.alive()
    site.clock.advance(31)
    assert read_all(silent.s, 10) == b""
    assert awake.frame() == (PING, b"")
    awake.send(frame(PONG)).alive()
