"""People in tests: accounts, logins, codes of a second factor."""

import base64
import hashlib
import hmac
import json
import struct
import subprocess
import uuid

from helpers import SLOW, V1, Site

PASSWORD = "correct horse battery staple"


def new_email():
    return f"p-{uuid.uuid4().hex[:12]}@shop.example"


def admin_create(stack, database, email, merchant=None, role="owner", password=PASSWORD, *more):
    """`reli admin create`; the account's id."""
    args = ["admin", "create", "--email", email, "--role", role, *more]
    if merchant is not None:
        args += ["--merchant", merchant]
    made = subprocess.run([stack.binary, *args], env=stack.env(database), text=True, capture_output=True,
                          input=password + "\n", timeout=60 * SLOW)
    assert made.returncode == 0, made.stderr
    return dict(line.split("=", 1) for line in made.stdout.splitlines())["user_id"]


def totp(secret, at, step=0):
    """The code of a base32 secret at a time, `step` steps later. RFC 6238."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at) // 30 + step), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10 ** 6:06d}"


class Person(Site):
    """Somebody with an account, who logs in at a replica. None as merchant: staff."""

    def __init__(self, stack, replica, merchant=None, role="owner", login=True):
        super().__init__(replica.url)
        self.replica, self.merchant = replica, merchant
        self.email, self.password, self.tokens, self.extra = new_email(), PASSWORD, None, {}
        self.id = admin_create(stack, replica.database, self.email, merchant, role)
        if login:
            self.login()

    @classmethod
    def invited(cls, by, role="admin", replica=None, email=None):
        """Somebody whom another person invites and who takes the token, with a password of his own."""
        her = cls.__new__(cls)
        Site.__init__(her, (replica or by.replica).url)
        her.replica, her.merchant, her.extra = replica or by.replica, by.merchant, {}
        her.email, her.password, her.tokens = email or new_email(), PASSWORD, None
        made = by.post(V1 + "/members", {"email": her.email, "role": role})
        assert made.status == 201, made
        her.id = made.json["id"]
        done = her.accept(made.json["invitation"]["token"])
        assert done.status == 200, done
        her.login()
        return her

    def accept(self, token, **proof):
        """Takes an invitation, with his password if with nothing else."""
        body = {"token": token} | (proof or {"password": self.password})
        return Site.request(self, "POST", V1 + "/auth/invitations/accept", json.dumps(body),
                            {"Content-Type": "application/json"})

    def at(self, replica):
        """The same person with the same session, talking to another replica."""
        other = Person.__new__(Person)
        other.__dict__.update(self.__dict__)
        Site.__init__(other, replica.url)
        return other

    def acting(self, **headers):
        """The same, sending these headers: Reli_Merchant, Reli_Mode."""
        other = self.at(self)
        other.extra = {k.replace("_", "-"): v for k, v in headers.items()}
        return other

    def try_login(self, **fields):
        body = {"email": self.email, "password": self.password} | fields
        return Site.request(self, "POST", V1 + "/auth/login", json.dumps(body),
                            {"Content-Type": "application/json"})

    def login(self, **fields):
        r = self.try_login(**fields)
        assert r.status == 200, r
        self.tokens = r.json["tokens"]
        return r.json

    def refresh(self, token=None):
        return Site.request(self, "POST", V1 + "/auth/refresh",
                            json.dumps({"refresh": token or self.tokens["refresh"]}),
                            {"Content-Type": "application/json"})

    def request(self, method, path, body=None, headers=None, timeout=30):
        h = {"Authorization": "Bearer " + self.tokens["access"]} | self.extra
        if body is not None:
            h["Content-Type"] = "application/json"
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        h |= headers or {}
        return super().request(method, path, body, {k: v for k, v in h.items() if v is not None}, timeout)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body=body, **kw)

    def patch(self, path, body=None, **kw):
        return self.request("PATCH", path, body=body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    def opens_shop(self, country="KE"):
        """As staff: a new merchant that may take test payments. Its id, webhook secret and first key."""
        def put(path, body, **headers):
            r = self.acting(**headers).post(V1 + path, body)
            if r.status == 401:  # tests may take longer than an access token
                self.login()
                r = self.acting(**headers).post(V1 + path, body)
            assert r.status in (200, 201), r
            return r.json

        made = put("/merchants", {"name": "A shop", "country": country})
        put(f"/merchants/{made['id']}/activate", None)
        key = put("/api-keys", {"scopes": ["*"]}, Reli_Merchant=made["id"], Reli_Mode="test")
        return made["id"], made["webhook_secret"], key["key"]

    def enrol(self, confirm=True):
        """A second factor; its secret."""
        r = self.post(V1 + "/auth/totp/enrol", {"password": self.password})
        assert r.status == 200, r
        secret = r.json["secret"]
        if confirm:
            r = self.post(V1 + "/auth/totp/confirm", {"totp": totp(secret, self.replica.time())})
            assert r.status == 204, r
        return secret
