"""Web pages of other origins: exactly those that are listed, with what they need, and never at a provider's door."""

import pytest
from helpers import V1, cash, new_key

SHOP, OTHER = "https://shop.example", "http://localhost:3000"
NEEDED = {"authorization", "content-type", "idempotency-key", "reli-mode", "reli-merchant", "x-request-id", "prefer"}
SHOWN = {"ratelimit", "ratelimit-policy", "retry-after", "idempotent-replayed", "reli-current-status", "x-request-id",
         "location"}
STRANGERS = ["https://evil.example", "https://shop.example.evil.example", "https://evil-shop.example",
             "http://shop.example", "https://shop.example:443", "https://shop.example:8443", "https://SHOP.example",
             "https://shop.example/", "https://shop.exampl", "null", "*", "", "https://shop.example, null",
             "https://shop.example https://evil.example", "file://"]


@pytest.fixture(scope="module")
def replica(stack):
    r = stack.serve(stack.database(), RELI_CORS_ORIGINS=f"{SHOP}, {OTHER}").ready()
    yield r
    stack.leave(r)


@pytest.fixture
def shop(stack, replica):
    return stack.shop(replica)


def words(header):
    return {w.strip().lower() for w in (header or "").split(",")}


def cors(r):
    return {name.lower() for name in r.headers if name.lower().startswith("access-control-")}


def preflight(replica, path, method, origin=SHOP, headers="authorization,content-type,idempotency-key"):
    return replica.request("OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers})


@pytest.mark.parametrize("origin", [SHOP, OTHER])
def test_a_page_that_is_listed(shop, origin):
    r = preflight(shop.replica, V1 + "/payments/initialize", "POST", origin)
    assert r.status == 204 and r.body == b"", r
    assert r.header("Access-Control-Allow-Origin") == origin and "origin" in words(r.header("Vary"))
    assert "post" in words(r.header("Access-Control-Allow-Methods"))
    assert words(r.header("Access-Control-Allow-Headers")) >= NEEDED
    assert r.header("Access-Control-Allow-Credentials") is None
    # every answer, errors too: a page that cannot read a problem cannot tell its user
    for r, status in ((shop.initialize(cash(), key=new_key(), headers={"Origin": origin}), 201),
                      (shop.initialize({}, key=new_key(), headers={"Origin": origin}), 422),
                      (shop.get(V1 + "/payments/x", headers={"Origin": origin}), 404),
                      (shop.get(V1 + "/payments", headers={"Origin": origin, "Authorization": None}), 401),
                      (shop.request("PUT", V1 + "/payments", headers={"Origin": origin}), 405)):
        assert r.status == status, r
        assert r.header("Access-Control-Allow-Origin") == origin and "origin" in words(r.header("Vary"))
        assert words(r.header("Access-Control-Expose-Headers")) >= SHOWN
        assert r.header("Access-Control-Allow-Credentials") is None


@pytest.mark.parametrize("origin", STRANGERS)
def test_a_page_that_is_not(shop, origin):
    for r, status in ((preflight(shop.replica, V1 + "/payments", "GET", origin), 204),
                      (shop.get(V1 + "/payments", headers={"Origin": origin}), 200)):
        assert r.status == status and cors(r) == set(), r.headers
        assert "origin" in words(r.header("Vary"))  # or a cache would hand it to those who may


def test_what_is_no_preflight(shop):
    r = shop.replica.request("OPTIONS", V1 + "/payments", headers={"Origin": SHOP})
    assert r.status == 204 and "access-control-allow-methods" not in cors(r)
    r = shop.get(V1 + "/payments")
    assert r.status == 200 and cors(r) == set() and "origin" in words(r.header("Vary"))


@pytest.mark.parametrize("path", [
    V1 + "/cb/00", V1 + "/webhooks/mpesa/00", V1 + "/payments/mpesa/callback/00", V1 + "/payments/mpesa/confirmation/00",
    V1 + "/payments/mpesa/validation/00", V1 + "/webhooks/mpesa", "/callbacks/mpesa"])
def test_never_at_a_provider_s_door(replica, path):
    for method in ("POST", "PUT", "GET"):
        assert cors(preflight(replica, path, method)) == set()
        r = replica.request(method, path, "{}", {"Origin": SHOP, "Content-Type": "application/json"})
        assert r.status >= 400 and cors(r) == set(), r


def test_without_a_list_there_is_none(reli):
    r = reli.get(V1 + "/payments", headers={"Origin": SHOP})
    assert r.status == 200 and cors(r) == set()
    assert cors(preflight(reli.replica, V1 + "/payments", "GET")) == set()


@pytest.mark.parametrize("origins", ["*", "null", "https://*.shop.example", "https://shop.example/", "shop.example",
                                     "https://shop.example:443", "https://Shop.example",
                                     f"{SHOP},https://user@shop.example"])
def test_lists_that_would_never_match_are_named(stack, db, origins):
    done = stack.cli(db, "serve", RELI_CORS_ORIGINS=origins)
    assert done.returncode == 2 and "RELI_CORS_ORIGINS" in done.stderr, done
