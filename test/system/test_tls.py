"""TLS on listeners: what is spoken, what is refused, certificates that change, and what the others say."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest
import tls
import websocket
from helpers import SLOW, V1, answers, cash, free_port, new_key, read_all, wait_until
from tls import Certificate

PUBLIC = "https://pay.test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("tls"))


def start(launcher, certificate, clock=False, flags=";tls", **extra):
    """A replica with a plain port, .port, and one with TLS, .tls_port."""
    port, secure = free_port(), free_port()
    replica = launcher.one(port=port, clock=clock, RELI_PUBLIC_URL=PUBLIC,
                           RELI_LISTEN=f"127.0.0.1:{port},127.0.0.1:{secure}{flags}",
                           **certificate.env(), **extra)
    replica.tls_port = secure
    return replica


@pytest.fixture(scope="module")
def secure(stack, certificate):
    """One that the tests share."""
    port, tls_port = free_port(), free_port()
    replica = stack.serve(stack.database(), port=port, RELI_PUBLIC_URL=PUBLIC,
                          RELI_LISTEN=f"127.0.0.1:{port},127.0.0.1:{tls_port};tls",
                          RELI_CORS_ORIGINS="https://shop.example", **certificate.env()).ready()
    replica.tls_port = tls_port
    yield replica
    stack.leave(replica)


@pytest.fixture
def shop(stack, secure):
    return stack.shop(secure)


def ask(replica, certificate, method, path, body=None, headers=None, version=None):
    return tls.request(replica.tls_port, certificate.context(version), method, path, body, headers)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_payment_through_tls(secure, shop, certificate, version):
    context = certificate.context(version)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with contextlib.closing(tls.connect(secure.tls_port, context)) as s:
        assert s.version() == {772: "TLSv1.3", 771: "TLSv1.2"}[version]
        assert s.selected_alpn_protocol() == "http/1.1"
        assert s.compression() is None
        headers = shop.headers({"Content-Type": "application/json", "Idempotency-Key": new_key()})
        made = tls.ask(s, "POST", V1 + "/payments/initialize", json.dumps(cash()), headers)
        assert made.status == 201, made
        assert made.header("Strict-Transport-Security") == "max-age=31536000"
        read = tls.ask(s, "GET", f"{V1}/payments/{made.json['id']}", headers=shop.headers())
        assert read.status == 200 and read.json["id"] == made.json["id"]


def s_client(port, *args):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args], input=b"",
                          capture_output=True, timeout=60)


@pytest.mark.parametrize("args, ok", [
    (["-tls1_3"], True),
    (["-tls1_2"], True),
    (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
    (["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"], False),
    (["-tls1_2", "-cipher", "AES128-SHA:AES256-GCM-SHA384"], False),
    (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], False),
    (["-alpn", "h2"], False),
])
def test_what_openssl_gets(secure, args, ok):
    done = s_client(secure.tls_port, *args)
    said = done.stdout + done.stderr
    assert (b"Cipher is (NONE)" not in said and b"alert" not in said) == ok, said[-2000:]


def test_no_session_is_kept(secure):
    done = s_client(secure.tls_port, "-tls1_2", "-reconnect")
    assert b"Reused" not in done.stdout and done.stdout.count(b"New, TLSv1.2") >= 5, done.stdout[-2000:]


def test_what_is_not_said_in_the_clear(secure, shop):
    """GET goes to the public name, whatever the Host; all else is refused; probes are answered."""
    for method in ("GET", "HEAD"):
        r = secure.request(method, "/docs?a=b%20c", headers={"Host": "evil.example"})
        assert (r.status, r.header("Location"), r.body) == (308, PUBLIC + "/docs?a=b%20c", b""), r
        assert r.header("Strict-Transport-Security") is None
    assert secure.get("/no/such/path").status == 308
    r = shop.get(V1 + "/payments")
    assert r.status == 308 and r.header("Location") == PUBLIC + V1 + "/payments"
    r = shop.initialize(cash(), key=new_key())
    assert (r.status, r.code) == (403, "https_required")
    assert "replace them" in r.json["detail"]
    for method, path in (("POST", "/api/v1/cb/00"), ("PUT", "/api/v1/cb/00"), ("POST", "/callbacks/mpesa"),
                         ("DELETE", V1 + "/webhook-endpoints/x"), ("OPTIONS", V1 + "/payments")):
        r = secure.request(method, path, headers={"Origin": "https://shop.example"})
        assert (r.status, r.code) == (403, "https_required"), r
        assert "replace them" not in r.json["detail"]
    for path in ("/livez", "/readyz", "/health", V1 + "/health", "/health/detailed", "/metrics"):
        assert secure.get(path).status == 200
    # nobody is trusted: the word of a client counts for nothing
    assert secure.get("/docs", headers={"X-Forwarded-Proto": "https"}).status == 308
    assert secure.database.value("select count(*) from reli.payment where merchant_id = %s", shop.merchant) == 0


def test_a_trusted_proxy_says_how_it_was_spoken_to(replicas, certificate):
    replica = start(replicas, certificate, RELI_TRUSTED_PROXIES="127.0.0.1")
    for said, status in (("https", 200), ("HTTPS", 200), ("http", 308), ("https, http", 308), ("http, https", 200),
                         ("", 308), ("httpsx", 308)):
        r = replica.get("/docs", headers={"X-Forwarded-Proto": said})
        assert r.status == status, said
        assert (r.header("Strict-Transport-Security") is not None) == (status == 200)
    r = ask(replica, certificate, "GET", "/docs", headers={"X-Forwarded-Proto": "http"})
    assert r.status == 308


def test_a_websocket_through_tls(secure, shop, certificate):
    made = ask(secure, certificate, "POST", V1 + "/payments/initialize", json.dumps(cash()),
               shop.headers({"Content-Type": "application/json", "Idempotency-Key": new_key()})).json
    raw = tls.connect(secure.tls_port, certificate.context())
    ws = websocket.create_connection(f"wss://{tls.HOST}/ws/transaction/{made['id']}", socket=raw,
                                     header={"Authorization": f"Bearer {shop.key}"})
    try:
        assert json.loads(ws.recv())["type"] == "hello"
        done = ask(secure, certificate, "POST", f"{V1}/payments/{made['id']}/confirm", "{}",
                   shop.headers({"Content-Type": "application/json"}))
        assert done.status == 200, done
        while json.loads(ws.recv())["type"] != "payment.completed":
            pass
    finally:
        ws.close(timeout=2)


def test_requests_in_odd_records(secure, shop, certificate):
    """Where records end means nothing: several requests in one, one in many, and nothing smuggled in between."""
    one = f"GET {V1}/payments HTTP/1.1\r\nHost: {tls.HOST}\r\nAuthorization: Bearer {shop.key}\r\n\r\n".encode()
    with contextlib.closing(tls.connect(secure.tls_port, certificate.context())) as s:
        s.sendall(one * 3)
        for byte in one:
            s.sendall(bytes([byte]))
        s.sendall(one.replace(b"Host", b"Connection: close\r\nHost"))
        assert [status for status, _, _ in answers(read_all(s))] == [200] * 5
    smuggled = (f"POST {V1}/payments/initialize HTTP/1.1\r\nHost: {tls.HOST}\r\nContent-Length: 6\r\n"
                f"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode() + one
    with contextlib.closing(tls.connect(secure.tls_port, certificate.context())) as s:
        s.sendall(smuggled)
        assert [status for status, _, _ in answers(read_all(s))] == [400]


def test_much_through_tls(secure, shop, certificate):
    big = json.dumps({"reference": "x" * 900_000})
    r = ask(secure, certificate, "POST", V1 + "/payments/status", big,
            shop.headers({"Content-Type": "application/json"}))
    assert r.status == 422, r
    with contextlib.closing(tls.connect(secure.tls_port, certificate.context())) as s:
        s.sendall(f"GET /openapi.json HTTP/1.1\r\nHost: {tls.HOST}\r\n\r\n".encode() * 19
                  + f"GET /openapi.json HTTP/1.1\r\nHost: {tls.HOST}\r\nConnection: close\r\n\r\n".encode())
        got = answers(read_all(s, 30))
    assert len(got) == 20 and len({body for _, _, body in got}) == 1
    assert json.loads(got[0][2])["openapi"].startswith("3.1")


def test_who_does_not_shake_hands(replicas, clock, certificate):
    """Garbage, silence and half a hello hold up nobody, and are cut off in the end."""
    replica = start(replicas, certificate, clock=True)
    address = ("127.0.0.1", replica.tls_port)
    silent = [socket.create_connection(address, timeout=30 * SLOW) for _ in range(30)]
    for i, s in enumerate(silent):
        if i % 2:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 100, os.urandom(5000), b"\x16\x03\x01\xff\xff",
                    b"\x15\x03\x03\x00\x02\x02\x28", b"SSH-2.0-OpenSSH_9.2\r\n"):
        with socket.create_connection(address, timeout=30 * SLOW) as s:
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            assert b"HTTP/1.1" not in read_all(s, 30)
    assert ask(replica, certificate, "GET", "/docs").status == 200
    clock.advance(11)
    for s in silent:
        assert read_all(s, 30) == b""
        s.close()
    assert ask(replica, certificate, "GET", "/docs").status == 200
    measured = replica.metrics()
    assert measured['reli_arrivals_total{result="late"}'] == 30
    assert measured['reli_arrivals_total{result="refused"}'] >= 6


def served(port):
    """The certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.closing(tls.connect(port, context)) as s:
        return s.getpeercert(binary_form=True)


def events(replica, name):
    return [line for line in replica.logs() if line.get("event") == name]


def test_certificates_change_under_load(replicas, tmp_path):
    """Nobody loses a connection or a request, and files that do not do change nothing."""
    certificate = Certificate(tmp_path)
    replica = start(replicas, certificate)
    shop = replicas.shop(replica)
    old = certificate.context()
    long_lived = tls.connect(replica.tls_port, old)
    assert tls.ask(long_lived, "GET", V1 + "/payments", headers=shop.headers()).status == 200
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    stop = threading.Event()

    def visit():
        n = 0
        while not stop.is_set() or n == 0:
            r = tls.request(replica.tls_port, careless, "GET", V1 + "/payments", headers=shop.headers())
            assert r.status == 200, r
            n += 1
        return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        visits = [pool.submit(visit) for _ in range(4)]
        try:
            for _ in range(4):
                certificate.renew()
                replica.p.send_signal(signal.SIGHUP)
                wait_until(lambda: served(replica.tls_port) == certificate.der, 20, "the new certificate is served")
        finally:
            stop.set()
        assert all(v.result() > 0 for v in visits)
    assert tls.ask(long_lived, "GET", V1 + "/payments", headers=shop.headers()).status == 200

    # the key of another one, then rubbish, then nothing
    other = Certificate(tmp_path, "other")
    key = certificate.key.read_text()
    for n, bad in enumerate((other.key.read_text(), "-----BEGIN PRIVATE KEY-----\nrubbish-canary\n", None), 1):
        if bad is None:
            certificate.key.unlink()
        else:
            certificate.key.write_text(bad)
        replica.p.send_signal(signal.SIGHUP)
        wait_until(lambda n=n: len(events(replica, "tls.reload_failed")) == n, 20, "the fault is logged")
        assert served(replica.tls_port) == certificate.der
    said = replica.log.read_text()
    assert "rubbish-canary" not in said and "PRIVATE KEY" not in said
    assert all(str(certificate.key) in e["why"] for e in events(replica, "tls.reload_failed"))
    certificate.key.write_text(key)
    certificate.renew()
    replica.p.send_signal(signal.SIGHUP)
    wait_until(lambda: served(replica.tls_port) == certificate.der, 20, "it is mended")
    assert tls.ask(long_lived, "GET", V1 + "/payments", headers=shop.headers()).status == 200
    long_lived.close()
    assert replica.metrics()['reli_tls_certificate_loads_total{result="failed"}'] == 3


@pytest.mark.parametrize("env, words", [
    ({"RELI_LISTEN": "127.0.0.1:0;tls"}, ["RELI_TLS_CERT"]),
    ({"RELI_LISTEN": "127.0.0.1:0;tls", "RELI_TLS_CERT": "{cert}"}, ["RELI_TLS_KEY", "only one"]),
    ({"RELI_LISTEN": "127.0.0.1:0", "RELI_TLS_CERT": "{cert}", "RELI_TLS_KEY": "{key}"}, [";tls"]),
    ({"RELI_LISTEN": "127.0.0.1:0;tls", "RELI_TLS_CERT": "/nowhere.pem", "RELI_TLS_KEY": "{key}"}, ["/nowhere.pem"]),
    ({"RELI_LISTEN": "127.0.0.1:0;tls", "RELI_TLS_CERT": "{key}", "RELI_TLS_KEY": "{key}"}, ["no usable certificate"]),
    ({"RELI_LISTEN": "127.0.0.1:0;tls", "RELI_TLS_CERT": "{cert}", "RELI_TLS_KEY": "{cert}"}, ["no usable key"]),
    ({"RELI_LISTEN": "127.0.0.1:0;ssl"}, [";tls and ;proxy"]),
    ({"RELI_LISTEN": "127.0.0.1:0;proxy"}, ["RELI_TRUSTED_PROXIES"]),
    ({"RELI_LISTEN": "127.0.0.1:0;tls", "RELI_TLS_CERT": "{cert}", "RELI_TLS_KEY": "{key}",
      "RELI_PUBLIC_URL": "http://pay.test"}, ["RELI_PUBLIC_URL"]),
])
def test_faults_are_named_at_the_start(stack, db, certificate, env, words):
    filled = {k: v.format(cert=certificate.cert, key=certificate.key) for k, v in env.items()}
    done = stack.cli(db, "serve", **({"RELI_PUBLIC_URL": None} | filled))
    assert done.returncode == 2, done
    assert all(w in done.stderr for w in words), done.stderr


def test_the_commands_beside_tls(stack, secure, certificate, tmp_path):
    database = secure.database
    for listen, code in ((f"127.0.0.1:{secure.tls_port};tls", 0), (f"127.0.0.1:{secure.port};tls", 1),
                         (f"127.0.0.1:1;tls,127.0.0.1:{secure.port}", 0)):  # one in the clear is asked first
        done = stack.cli(database, "health", RELI_LISTEN=listen)
        assert done.returncode == code, (listen, done)

    def doctor(cert, **extra):
        done = stack.cli(database, "doctor", RELI_LISTEN="127.0.0.1:1;tls", **cert.env(),
                         **({"RELI_PUBLIC_URL": PUBLIC} | extra))
        return "\n".join(line for line in done.stdout.splitlines() if "Redis" not in line)  # which may be away

    said = doctor(certificate)
    assert "FAULT" not in said and said.count("the certificate") == 3, said
    assert "FAULT" not in doctor(certificate, RELI_PUBLIC_URL="https://127.0.0.1:8443/reli")
    assert "FAULT  the certificate is for the host" in doctor(certificate, RELI_PUBLIC_URL="https://other.test:1/x")
    short = Certificate(tmp_path, "short", days=10)
    os.chmod(short.key, 0o644)
    said = doctor(short)
    assert "FAULT  the certificate is good for two weeks" in said and "FAULT  the certificate's key" in said, said
