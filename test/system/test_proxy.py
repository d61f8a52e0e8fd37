"""The PROXY protocol on a marked listener: whose connection it is, from those who may say so."""

import contextlib
import socket
import struct

import pytest
import tls
from helpers import SLOW, answers, free_port, read_all

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ASK = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"  # by address: loopback may, others may not


def binary(command, family, body):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body)) + body


def four(address):
    return socket.inet_aton(address) + socket.inet_aton("198.51.100.2") + struct.pack(">HH", 5000, 443)


def six(address):
    return socket.inet_pton(socket.AF_INET6, address) * 2 + struct.pack(">HH", 5000, 443)


def start(launcher, flags=";proxy", clock=False, **extra):
    """A replica with a plain port, .port, and one behind proxies, .proxy_port."""
    port, proxied = free_port(), free_port()
    extra.setdefault("RELI_TRUSTED_PROXIES", "127.0.0.1")
    replica = launcher.one(port=port, clock=clock, RELI_LISTEN=f"127.0.0.1:{port},127.0.0.1:{proxied}{flags}", **extra)
    replica.proxy_port = proxied
    return replica


def said(port, data, deadline=30):
    """The statuses of the answers to these bytes; none if the connection is closed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=deadline * SLOW) as s:
        try:
            s.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return [status for status, _, _ in answers(read_all(s, deadline))]


STRANGER, NEIGHBOUR = 403, 200


@pytest.fixture(scope="module")
def proxied(stack):
    port, proxy_port = free_port(), free_port()
    replica = stack.serve(stack.database(), port=port, RELI_TRUSTED_PROXIES="127.0.0.1",
                          RELI_LISTEN=f"127.0.0.1:{port},127.0.0.1:{proxy_port};proxy").ready()
    replica.proxy_port = proxy_port
    yield replica
    stack.leave(replica)


def test_whose_connection_it_is(proxied):
    tlv = b"\x04\x00\x05noise" + b"\x02\x00\x01x"
    for header, expected in (
            (b"PROXY TCP4 192.0.2.7 198.51.100.2 5000 443\r\n", STRANGER),
            (b"PROXY TCP4 127.0.0.1 198.51.100.2 5000 443\r\n", NEIGHBOUR),
            (b"PROXY TCP6 2001:db8::7 2001:db8::2 5000 443\r\n", STRANGER),
            (b"PROXY TCP6 ::1 2001:db8::2 5000 443\r\n", NEIGHBOUR),
            (b"PROXY UNKNOWN\r\n", NEIGHBOUR),
            (binary(1, 0x11, four("192.0.2.7")), STRANGER),
            (binary(1, 0x11, four("127.0.0.1")), NEIGHBOUR),
            (binary(1, 0x11, four("192.0.2.7") + tlv), STRANGER),
            (binary(1, 0x21, six("2001:db8::7")), STRANGER),
            (binary(1, 0x21, six("::1")), NEIGHBOUR),
            (binary(0, 0x11, four("192.0.2.7")), NEIGHBOUR),  # LOCAL: the proxy itself
            (binary(0, 0x00, b""), NEIGHBOUR),
            (binary(1, 0x00, tlv), NEIGHBOUR),
            (binary(1, 0x31, b"/run/x".ljust(216, b"\0")), NEIGHBOUR),
            (binary(1, 0x11, four("192.0.2.7") + bytes(4000)), STRANGER)):
        assert said(proxied.proxy_port, header + ASK) == [expected], header
    # what the client writes is behind what the proxy has written
    lie = ASK.replace(b"Host", b"X-Forwarded-For: 127.0.0.1\r\nHost")
    assert said(proxied.proxy_port, b"PROXY TCP4 192.0.2.7 198.51.100.2 5000 443\r\n" + lie) == [STRANGER]


def test_what_is_no_header(proxied):
    for data in (ASK, b"PROXY TCP4 localhost 198.51.100.2 5000 443\r\n" + ASK,
                 b"PROXY TCP4 192.0.2.7 198.51.100.2 5000 443\n" + ASK,
                 b"PROXY TCP4 192.0.2.7 198.51.100.2 05000 443\r\n" + ASK,
                 b"PROXY " + b"x" * 200 + b"\r\n" + ASK, binary(2, 0x11, four("192.0.2.7")) + ASK,
                 binary(1, 0x12, four("192.0.2.7")) + ASK, binary(1, 0x11, b"") + ASK,
                 binary(1, 0x11, four("192.0.2.7") + bytes(5000)) + ASK,
                 b"\r\nPROXY TCP4 192.0.2.7 198.51.100.2 5000 443\r\n" + ASK, b"\0" * 200):
        assert said(proxied.proxy_port, data) == [], data[:60]
    # a second header is the client's, and no request
    header = b"PROXY TCP4 192.0.2.7 198.51.100.2 5000 443\r\n"
    assert said(proxied.proxy_port, header + b"PROXY TCP4 127.0.0.1 198.51.100.2 5000 443\r\n" + ASK) == [400]
    assert said(proxied.port, header + ASK) == [400]  # nor is it believed where nobody asked for it
    assert said(proxied.proxy_port, header + ASK) == [STRANGER]


def test_from_whom_it_is_not_believed(replicas):
    replica = start(replicas, RELI_TRUSTED_PROXIES="10.0.0.0/8")
    assert said(replica.proxy_port, b"PROXY TCP4 127.0.0.1 198.51.100.2 5000 443\r\n" + ASK) == []
    assert said(replica.port, ASK) == [200]


def test_a_header_that_does_not_come(replicas, clock):
    replica = start(replicas, clock=True)
    waiting = [socket.create_connection(("127.0.0.1", replica.proxy_port), timeout=30 * SLOW) for _ in range(20)]
    for s in waiting[::2]:
        s.sendall(b"PROXY TCP4 192.0.2.7")
    assert said(replica.proxy_port, b"PROXY UNKNOWN\r\n" + ASK) == [200]
    clock.advance(11)
    for s in waiting:
        assert read_all(s, 30) == b""
        s.close()
    assert replica.metrics()['reli_arrivals_total{result="late"}'] == 20


def test_before_tls(replicas, stack, tmp_path):
    certificate = tls.Certificate(tmp_path)
    replica = start(replicas, ";proxy;tls", RELI_PUBLIC_URL="https://pay.test", **certificate.env())
    for first, expected in ((b"PROXY TCP4 192.0.2.7 198.51.100.2 5000 443\r\n", STRANGER),
                            (binary(1, 0x11, four("127.0.0.1")), NEIGHBOUR)):
        r = tls.request(replica.proxy_port, certificate.context(), "GET", "/metrics", first=first)
        assert r.status == expected
    with pytest.raises(OSError):  # nobody has introduced it
        with contextlib.closing(tls.connect(replica.proxy_port, certificate.context())):
            pass
    done = stack.cli(replica.database, "health", RELI_LISTEN=f"127.0.0.1:{replica.proxy_port};tls;proxy")
    assert done.returncode == 0, done
