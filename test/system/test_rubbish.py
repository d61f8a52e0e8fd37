"""Rubbish of every kind gets a clear answer, never a crash and never a hang."""

import gzip
import json
import socket
import time

import pytest
from helpers import SLOW, V1, answers, cash, exchange, new_key, read_all, word

MIB = 1024 * 1024
PATH = V1 + "/payments/initialize"


@pytest.fixture(autouse=True)
def alive_after(shared):
    """Whatever came, the same process goes on and answers."""
    pid = shared.p.pid
    yield
    assert shared.running(), f"the service has died:\n{shared.tail()}"
    assert shared.p.pid == pid
    assert shared.get("/livez").status == 200


def is_problem(answer, status, code):
    got, headers, body = answer
    assert headers["content-type"] == "application/problem+json", answer
    problem = json.loads(body)
    assert (got, problem["status"], problem["code"]) == (status, status, code), answer
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["title"] and problem["request_id"] == headers["x-request-id"]


# ---- bodies ----


def post(reli, body, **headers):
    r = reli.post(PATH, body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert r.status in range(400, 500) or r.status == 201, r
    return r


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"}", b"[", b"nul", b"{]", b'{"a":1}x', b'{"a":1}{"a":1}', b"{'a':1}", b'{"a":1,}',
    b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":1e}', b'{"a":NaN}', b'{"a":Infinity}',
    b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a":"\\ud800"}',
    b'{"a":"\\udc00\\ud800"}', b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf4\x90\x80\x80"}', b'{"\xc3":1}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\x00"}', b'{"a":1}\x00',
    b"\x00", b'{"a":"\\u0000"}', b'{"a\\u0000b":1}', b'{"amount":1,"amount":2}', b'{"a":{"b":1,"b":1}}',
    b'{"a":1e400}', b'{"a":-1e400}', b'{"amount":1e400}', b'{"a":123456789012345678901234567890}',
    b"[]", b"[1]", b'"text"', b"1", b"true", b"null",
    b'{"metadata":' + b"[" * 32 + b"]" * 32 + b"}", b"[" * 100000, b'{"a":' * 100000,
    b'"' + b"a" * 100000, b"/* */{}", b"{}//", "{\"ä\":1}".encode("utf-16"),
], ids=lambda b: repr(b[:24]))
def test_what_is_no_json_object(reli, body):
    r = post(reli, body)
    assert r.status == 400 and r.code == "invalid_json", r


@pytest.mark.parametrize("body, what", [
    (b'{"a":1,}', "Not valid JSON"), (b'{"a":1,"a":1}', "The same member twice"),
    (b'{"a":123456789012345678901234567890}', "A number out of range"), (b'{"a":1e400}', "A number out of range"),
    (b'{"a":"\\u0000"}', "The character U+0000"), (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "More than 32 levels"),
], ids=lambda v: repr(v[:24]))
def test_valid_json_that_is_refused_is_not_called_invalid(reli, body, what):
    r = post(reli, body)
    assert r.status == 400 and r.code == "invalid_json" and r.json["detail"].startswith(what + " near byte "), r


def deep(n):
    """A body whose deepest value lies n levels down."""
    value = 1
    for _ in range(n - 2):
        value = {"a": value}
    return cash(metadata=value)


@pytest.mark.parametrize("depth, status", [(31, 201), (32, 201), (33, 400), (34, 400)])
def test_depth(reli, depth, status):
    text = json.dumps(deep(depth + 1))
    brackets = max(text[:i].count("{") - text[:i].count("}") for i in range(len(text)))
    assert brackets == depth
    assert post(reli, text).status == status


@pytest.mark.parametrize("field, value", [
    ("provider", 1), ("provider", None), ("provider", "nobody"), ("provider", ""), ("provider", "x" * 33),
    ("payment_method", "barter"), ("payment_method", "mpesa"), ("payment_method", []),
    ("currency", 404), ("currency", "kes"), ("currency", "KESX"), ("currency", "XXZ"), ("currency", None),
    ("customer", "Jane"), ("customer", []), ("customer", {"phone": 254700000000}),
    ("customer", {"phone": "+2547"}), ("customer", {"phone": "+254700000000;drop"}),
    ("customer", {"email": "nobody"}), ("customer", {"email": "a@b@c"}), ("customer", {"name": "x" * 129}),
    ("customer", {"nickname": "J"}), ("customer", {"id": {}}),
    ("phone", 700000000), ("email", True), ("name", ["J"]),
    ("reference", ""), ("reference", "x" * 65), ("reference", 5), ("reference", {"a": 1}),
    ("description", "x" * 256), ("description", 1),
    ("callback_url", "shop.example/hook"), ("callback_url", "ftp://shop.example/"),
    ("callback_url", "javascript:alert(1)"), ("callback_url", "http://user:pass@shop.example/"),
    ("callback_url", "https://shop.example/" + "x" * 2000), ("callback_url", "https://"), ("callback_url", 1),
    ("callback_url", "https://shop.example/\r\nX: y"), ("return_url", "file:///etc/passwd"),
    ("metadata", "x"), ("metadata", [1]), ("metadata", {"a": "x" * 16384}), ("metadata", 1),
    ("amuont", "1.00"), ("", 1), ("__proto__", {}), ("status", "completed"), ("merchant_id", "x"),
], ids=lambda v: repr(v)[:32])
def test_wrong_fields(reli, field, value):
    r = post(reli, cash(**{field: value}))
    assert r.status == 422 and r.code == "validation_failed", r
    named = {e["param"] for e in r.json["errors"]}
    assert any(n == field or n.startswith(field + ".") for n in named), r
    assert all(e["code"] and e["message"] for e in r.json["errors"])


def test_texts_with_everything_in_them_come_back_as_they_were(reli):
    text = "\"\\/\u00a0é漢😀 ' ; drop table payment; -- ${x} %s %n <script> \"phone\":null,"
    wild = text + "\b\f\n\r\t\u007f\u0080\u2028\ufffd"
    p = reli.pay(description=text, metadata={wild: [wild]}, customer={"name": text, "id": text})
    for q in (p, reli.payment(p["id"])):
        assert q["description"] == text
        assert q["metadata"] == {wild: [wild]}
        assert (q["customer"]["name"], q["customer"]["id"]) == (text, text)


@pytest.mark.parametrize("text", ['{"amount":1.0E+2}', '{"amount":10.00}', '{"amount":0.30}', '{"amount":"0.3"}',
                                  '{"amount":1e2}', '{"amount":100e-2}'])
def test_numbers_in_all_their_forms(reli, text):
    body = {**cash(), **json.loads(text)}
    amount = text[len('{"amount":'):-1]
    raw = json.dumps({**body, "amount": "AMOUNT"}).replace('"AMOUNT"', amount)
    r = post(reli, raw)
    assert r.status == 201, r
    assert float(r.json["amount"]) == float(amount.strip('"'))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json",
                                  "application/jsonx", "application/json/x", "multipart/form-data"])
def test_other_media_types(reli, kind):
    r = reli.post(PATH, cash(), headers={"Content-Type": kind})
    assert r.status == 415 and r.code == "unsupported_media_type", r


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON",
                                  "application/json;charset=UTF-8"])
def test_the_media_type_with_its_parameters(reli, kind):
    assert reli.post(PATH, cash(), headers={"Content-Type": kind}).status == 201


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "x"])
def test_bodies_in_a_coding(reli, coding):
    """They were read as if they were none: "not valid JSON" of what is valid once it is unpacked."""
    body = gzip.compress(json.dumps(cash()).encode())
    r = reli.post(PATH, body, headers={"Content-Encoding": coding})
    assert r.status == 415 and r.code == "unsupported_content_encoding", r


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_bodies_in_no_coding(reli, coding):
    assert reli.post(PATH, cash(), headers={"Content-Encoding": coding}).status == 201
    assert reli.get("/livez", headers={"Content-Encoding": "gzip"}).status == 200, "there is no body"


def test_a_mebibyte_and_one_more(reli):
    body = json.dumps(cash())
    full = body[:-1] + " " * (MIB - len(body)) + "}"
    assert post(reli, full).status == 201
    r = reli.post(PATH, full + " ")
    assert r.status == 413 and r.code == "body_too_large", r


def test_a_mebibyte_and_one_more_in_chunks(reli):
    head = (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    raw = head + b"%x\r\n" % MIB + b" " * MIB + b"\r\n1\r\n \r\n0\r\n\r\n"
    (answer,) = answers(exchange(reli.port, raw))
    is_problem(answer, 413, "body_too_large")
    assert answer[1]["connection"] == "close"


def test_an_announced_gigabyte_is_refused_at_once(reli):
    raw = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n".encode()
    began = time.monotonic()
    (answer,) = answers(exchange(reli.port, raw))
    is_problem(answer, 413, "body_too_large")
    assert time.monotonic() - began < 10 * SLOW


# ---- framing: what another server might read otherwise ----

HEAD = "POST " + PATH + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = "GET /livez HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMING = {
    "CL and TE": HEAD + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two CL": HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "two equal CL": HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "CL list": HEAD + "Content-Length: 2, 2\r\n\r\n{}",
    "CL plus": HEAD + "Content-Length: +2\r\n\r\n{}",
    "CL minus": HEAD + "Content-Length: -2\r\n\r\n{}",
    "CL hex": HEAD + "Content-Length: 0x2\r\n\r\n{}",
    "CL blank inside": HEAD + "Content-Length: 1 2\r\n\r\n{}",
    "CL empty": HEAD + "Content-Length: \r\n\r\n{}",
    "CL overflow": HEAD + "Content-Length: 18446744073709551618\r\n\r\n{}",
    "CL other digits": HEAD + "Content-Length: \u0662\r\n\r\n{}",
    "two Host": GET + "Host: y\r\n\r\n",
    "no Host": "GET /livez HTTP/1.1\r\n\r\n",
    "Host with a path": "GET /livez HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "fold": GET + "X-A: 1\r\n folded\r\n\r\n",
    "fold by tab": GET + "X-A: 1\r\n\tfolded\r\n\r\n",
    "fold first": "GET /livez HTTP/1.1\r\n Host: x\r\n\r\n",
    "bare CR in a value": GET + "X-A: 1\rX-B: 2\r\n\r\n",
    "bare LF in a value": GET + "X-A: 1\nX-B: 2\r\n\r\n",
    "bare LF all over": "GET /livez HTTP/1.1\nHost: x\n\n",
    "CR CR LF": GET + "X-A: 1\r\r\n\r\n",
    "end by CR": GET + "X-A: 1\r\n\r",
    "NUL in a value": GET + "X-A: 1\x002\r\n\r\n",
    "NUL in a name": GET + "X\x00A: 1\r\n\r\n",
    "NUL in the target": "GET /livez\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "blank before the colon": GET + "Content-Length : 2\r\n\r\n{}",
    "no colon": GET + "nonsense\r\n\r\n",
    "no name": GET + ": value\r\n\r\n",
    "TE identity": HEAD + "Transfer-Encoding: identity\r\n\r\n{}",
    "TE twice in one": HEAD + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two TE": HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE gzip": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE xchunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE quoted": HEAD + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE vertical tab": HEAD + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TE in 1.0": HEAD.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size signed": HEAD + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "chunk size 0x": HEAD + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with blank": HEAD + "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n",
    "chunk too long": HEAD + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "chunk by bare LF": HEAD + "Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
    "chunk extension with LF": HEAD + "Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
    "absolute target, other scheme": "GET ftp://y/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute target without an authority": "GET http:///livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute target of somebody": "GET http://u@y/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute target, no Host": "GET http://y/livez HTTP/1.1\r\n\r\n",
    "authority target": "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the target": "GET /livez\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "blank in the target": "GET /livez a HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment in the target": "GET /livez#a HTTP/1.1\r\nHost: x\r\n\r\n",
    "tab for a blank": "GET\t/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "two blanks": "GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": "GET /livez\r\nHost: x\r\n\r\n",
    "version lower case": "GET /livez http/1.1\r\nHost: x\r\n\r\n",
    "version of three": "GET /livez HTTP/1.1.1\r\nHost: x\r\n\r\n",
    "no method": " /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 40 + "\r\n\r\n",
}


@pytest.mark.parametrize("what", FRAMING)
def test_framing_that_is_not_sure(reli, what):
    raw = (FRAMING[what] + SMUGGLED).encode("latin-1", "replace")
    got = answers(exchange(reli.port, raw))
    assert len(got) == 1, got  # the connection is over: nothing behind it is read
    is_problem(got[0], 400, "bad_request")
    assert got[0][1]["connection"] == "close"


def test_targets_in_absolute_form(reli):
    """RFC 9112, 3.2.2: every server takes them; the path is what counts."""
    auth = f"Host: x\r\nAuthorization: Bearer {reli.key}\r\n"
    raw = "".join(f"GET {target} HTTP/1.1\r\n{auth}{last}\r\n" for target, last in [
        ("http://y/livez", ""), (f"HTTPS://y:443{V1}/payments?limit=1", ""), ("http://[::1]?x", ""),
        ("http://y", "Connection: close\r\n")])
    live, listed, root, bare = answers(exchange(reli.port, raw.encode()))
    assert live[0] == 200 and listed[0] == 200 and json.loads(listed[2])["object"] == "list"
    assert root[0] == bare[0] == reli.get("/").status


def test_a_chunk_size_that_overflows(reli):
    raw = HEAD + "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n" + SMUGGLED
    (answer,) = answers(exchange(reli.port, raw.encode()))
    is_problem(answer, 413, "body_too_large")
    assert answer[1]["connection"] == "close"


def test_line_ends_before_a_request_are_skipped(reli):
    """RFC 9112, 2.2: some clients send one after a body."""
    raw = b"\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    (answer,) = answers(exchange(reli.port, raw))
    assert answer[0] == 200


@pytest.mark.parametrize("version, status", [("HTTP/2.0", 505), ("HTTP/0.9", 505), ("HTTP/1.2", 505)])
def test_other_versions(reli, version, status):
    (answer,) = answers(exchange(reli.port, f"GET /livez {version}\r\nHost: x\r\n\r\n".encode()))
    is_problem(answer, status, "http_version_not_supported")


def test_the_preface_of_http_2(reli):
    (answer,) = answers(exchange(reli.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    assert answer[0] in (400, 505)


def test_http_1_0(reli):
    (answer,) = answers(exchange(reli.port, b"GET /livez HTTP/1.0\r\n\r\n"))
    assert answer[0] == 200 and answer[1]["connection"] == "close"


def test_a_body_cut_off(reli):
    """Half a request, then nothing more: no answer, no payment."""
    key = new_key()
    raw = (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\nIdempotency-Key: {key}\r\n"
           "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{").encode()
    assert b"201" not in exchange(reli.port, raw, close=True)[:20]
    assert reli.get(V1 + "/payments").json["data"] == []


def test_chunks_in_pieces(reli):
    body = json.dumps(cash(reference="CHUNKED")).encode()
    pieces = b"".join(b"%X;ext=1\r\n%c\r\n" % (1, b) for b in body)
    raw = (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\nConnection: close\r\n"
           "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").encode()
    (answer,) = answers(exchange(reli.port, raw + pieces + b"0\r\nX-Trailer: 1\r\n\r\n"))
    assert answer[0] == 201, answer
    assert json.loads(answer[2])["reference"] == "CHUNKED"


# ---- limits ----


def test_long_request_line(reli):
    for n in (8000, 16000, 16 * 1024, 100 * 1024):
        raw = f"GET /{'a' * n} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        (answer,) = answers(exchange(reli.port, raw))
        if n <= 16000:
            is_problem(answer, 404, "not_found")
        else:
            is_problem(answer, 414, "uri_too_long")


def test_large_head(reli):
    for name, headers in {"one": f"X-A: {'a' * 20000}\r\n", "many": "X-A: 1\r\n" * 101,
                          "sum": f"X-A: {'a' * 1000}\r\n" * 20}.items():
        (answer,) = answers(exchange(reli.port, (GET + headers + "\r\n").encode()))
        is_problem(answer, 431, "headers_too_large")
        assert answer[1]["connection"] == "close", name


def test_bytes_without_end(reli):
    """A head that never ends is cut at its limit, not kept."""
    with socket.create_connection(("127.0.0.1", reli.port)) as s:
        try:
            for _ in range(100):
                s.sendall(b"x" * 65536)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert b" 408 " not in read_all(s), "before the time for a head is over"


def test_slow_bytes(reli):
    """A head has ten seconds; one connection a second would be enough to hold a server otherwise."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", reli.port)) as s:
        s.sendall(b"GET /livez HTTP/1.1\r\nHo")
        (answer,) = answers(read_all(s, 20))
    assert time.monotonic() - began > 8
    is_problem(answer, 408, "request_timeout")
    assert answer[1]["connection"] == "close"


def test_byte_by_byte(reli):
    body = json.dumps(cash()).encode()
    raw = (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\nConnection: close\r\n"
           f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
    with socket.create_connection(("127.0.0.1", reli.port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for b in raw:
            s.sendall(bytes([b]))
        (answer,) = answers(read_all(s))
    assert answer[0] == 201, answer


# ---- methods, paths, order ----


def test_pipelining(reli):
    """Fifty requests in one go: fifty answers, in order, those that take longer included."""
    raw = b""
    for i in range(50):
        last = "Connection: close\r\n" if i == 49 else ""
        if i % 3 == 0:
            body = json.dumps(cash(reference=f"PIPE-{i}"))
            raw += (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\n"
                    f"X-Request-Id: r{i}\r\nContent-Type: application/json\r\n{last}"
                    f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        else:
            path = "/livez" if i % 3 == 1 else "/nowhere"
            raw += f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: r{i}\r\n{last}\r\n".encode()
    got = answers(exchange(reli.port, raw, deadline=10))
    assert [h["x-request-id"] for _, h, _ in got] == [f"r{i}" for i in range(50)]
    assert [s for s, _, _ in got] == [(201, 200, 404)[i % 3] for i in range(50)]
    references = [json.loads(b)["reference"] for s, _, b in got if s == 201]
    assert references == [f"PIPE-{i}" for i in range(0, 50, 3)]


def test_head(reli):
    raw = b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = exchange(reli.port, raw)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: 3" in head
    assert body == b""


def test_options_and_405(reli):
    for path, allowed in (("/api/payments/create", {"POST", "OPTIONS"}), (V1 + "/payments", {"GET", "HEAD", "OPTIONS"}),
                          (V1 + "/webhook-endpoints/x", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"})):
        r = reli.request("OPTIONS", path)
        assert r.status == 204 and set(r.header("Allow").split(", ")) == allowed, r
        r = reli.request("PUT", path, {})
        assert r.status == 405 and r.code == "method_not_allowed", r
        assert set(r.header("Allow").split(", ")) == allowed
    assert reli.request("OPTIONS", "/nowhere").status == 404
    r = reli.request("BREW", "/livez")
    assert r.status == 405 and "GET" in r.header("Allow")


@pytest.mark.parametrize("path", [
    "/", "/nowhere", "//", V1, V1 + "/", V1 + "//payments", V1 + "/payments/x/y/z", "/..", "/../etc/passwd",
    "/docs/../livez", "/docs/%2e%2e%2flivez", "/docs/..%2f..%2fetc%2fpasswd", "/API/V1/payments",
    V1 + "/payments/not-an-id", V1 + "/payments/01900000-0000-7000-8000-000000000000", "/docs/.gz",
    "/docs/openapi.json.gz",
])
def test_nothing_there(reli, path):
    r = reli.get(path)
    assert r.status == 404 and r.code == "not_found", r


@pytest.mark.parametrize("path", ["/docs/%00", "/docs/%zz", "/docs/%", "/docs/%f", "/docs/%ff",
                                  V1 + "/payments?reference=%00", V1 + "/payments?reference=%zz"])
def test_escapes_that_are_none(reli, path):
    r = reli.get(path)
    assert r.status == 400 and r.code == "bad_request", r


def test_every_answer_has_the_headers_of_safety(reli):
    for r in (reli.get("/livez"), reli.get("/nowhere"), reli.get(V1 + "/payments"),
              reli.with_key("x").get(V1 + "/payments"), reli.post(PATH, b"{")):
        assert r.header("X-Content-Type-Options") == "nosniff"
        assert r.header("X-Frame-Options") == "DENY"
        assert r.header("Referrer-Policy") == "no-referrer"
        assert "default-src 'none'" in r.header("Content-Security-Policy")
        assert r.header("Cache-Control") == "no-store"
        assert r.header("X-Request-Id") and r.header("Date")
        assert r.header("Server") is None


@pytest.mark.parametrize("sent, kept", [("abc-1_2.X", True), ("x" * 64, True), ("x" * 65, False), ("a b", False),
                                        ('"', False), ("<x>", False), ("é", False), ("a,b", False)])
def test_request_ids(reli, sent, kept):
    r = reli.get("/livez", headers={"X-Request-Id": sent.encode("latin-1")})
    assert (r.header("X-Request-Id") == sent) == kept
    assert r.header("X-Request-Id")


def test_other_verbs_take_no_rubbish_either(reli):
    p = reli.pay()
    for path in (f"{V1}/payments/{p['id']}/confirm", f"{V1}/payments/{p['id']}/cancel"):
        assert reli.post(path, None).status in (200, 409)
    for path in (V1 + "/payments/status", V1 + "/webhook-endpoints", V1 + "/ws/tickets"):
        for body in (b"", b"[]", b"{", b"\xff", b"null"):
            r = reli.post(path, body)
            assert r.status == 400 and r.code == "invalid_json", (path, body, r)
        r = reli.post(path, {word(): 1})
        assert r.status == 422 and r.code == "validation_failed", (path, r)


def test_a_client_that_leaves_does_not_end_its_payment(reli):
    key = new_key()
    body = json.dumps(cash(reference="GONE"))
    raw = (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\nIdempotency-Key: {key}\r\n"
           f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
    with socket.create_connection(("127.0.0.1", reli.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        s.sendall(raw)
        reli.get("/livez")  # by now it has been read
    r = reli.initialize(body, key=key)
    assert r.status == 201, r
    assert len(reli.get(V1 + "/payments").json["data"]) == 1
