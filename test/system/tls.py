"""A certificate for tests, and a client that speaks TLS."""

import contextlib
import http.client
import os
import socket
import ssl
import subprocess

from helpers import SLOW, Response

HOST = "pay.test"


class Certificate:
    """A self-signed one for pay.test and 127.0.0.1, its files, and what trusts it."""

    def __init__(self, folder, name="site", days=90):
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.serial = None
        self.renew(days)

    def renew(self, days=90):
        """Other files in their place, as certbot and its kind do it; the old ones are gone."""
        new_cert, new_key = self.cert.with_suffix(".new"), self.key.with_suffix(".newkey")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},IP:127.0.0.1", "-days", str(days),
             "-keyout", str(new_key), "-out", str(new_cert)],
            check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        os.chmod(new_key, 0o600)
        os.replace(new_key, self.key)
        os.replace(new_cert, self.cert)
        self.der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())

    def context(self, version=None):
        c = ssl.create_default_context(cafile=str(self.cert))
        if version is not None:
            c.minimum_version = c.maximum_version = version
        return c

    def env(self):
        return {"RELI_TLS_CERT": str(self.cert), "RELI_TLS_KEY": str(self.key)}


def connect(port, context, deadline=30, first=b""):
    """A socket through TLS; `first` goes ahead of it in the clear."""
    s = socket.create_connection(("127.0.0.1", port), timeout=deadline * SLOW)
    try:
        if first:
            s.sendall(first)
        return context.wrap_socket(s, server_hostname=HOST)
    except BaseException:
        s.close()
        raise


def ask(sock, method, path, body=None, headers=None):
    """One request on an open socket."""
    c = http.client.HTTPConnection(HOST)
    c.sock = sock
    c.request(method, path, body=body, headers=headers or {})
    r = c.getresponse()
    return Response(r.status, r.headers, r.read())


def request(port, context, method, path, body=None, headers=None, first=b""):
    with contextlib.closing(connect(port, context, first=first)) as s:
        return ask(s, method, path, body, headers)
