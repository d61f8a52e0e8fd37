"""What the database keeps sealed, opened from outside: by the keys, without the program."""

import base64
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# place → the statement that gives merchant, row and sealed text
PLACES = {
    "payment.pii": "select merchant_id, id, pii from reli.payment",
    "payout.pii": "select merchant_id, id, pii from reli.payout",
    "provider_event.raw": "select merchant_id, id, raw from reli.provider_event",
    "provider_call.body": "select merchant_id, id, body from reli.provider_call",
    "delivery_attempt.answer": "select merchant_id, overlay(delivery_id::text placing lpad(to_hex((('x' || right("
                               "delivery_id::text, 4))::bit(16) # n::int::bit(16))::int), 4, '0') from 33), answer "
                               "from reli.delivery_attempt",
    "exception_item.payer": "select merchant_id, id, payer from reli.exception_item",
    "merchant.webhook_secret": "select merchant_id, merchant_id, webhook_secret from reli.merchant",
    "webhook_endpoint.secrets": "select merchant_id, id, secrets from reli.webhook_endpoint",
    "provider_account.settings": "select merchant_id, id, settings from reli.provider_account",
    "account_user.person": "select merchant_id, id, person from reli.account_user",
    "account_user.totp": "select merchant_id, id, totp from reli.account_user",
}


class Seal:
    """Opens what is sealed with the keys of this database."""

    def __init__(self, database, master):
        self.database = database
        self.keys = {}
        key = base64.b64decode(master.partition(":")[2])
        for row in database.rows("select number, wrapped from reli.installation_key where kind = 'data'"):
            _, nonce, text = self.parts(row["wrapped"])
            self.keys[row["number"]] = AESGCM(AESGCM(key).decrypt(nonce, text, b"reli.installation_key"))

    @staticmethod
    def parts(sealed):
        sealed = bytes(sealed)
        return struct.unpack(">I", sealed[1:5])[0], sealed[5:17], sealed[17:]

    def opens(self, place, merchant, row, sealed):
        """The plain text, None if it was not sealed for this place."""
        number, nonce, text = self.parts(sealed)
        bound = place.encode() + bytes.fromhex(merchant.replace("-", "")) + bytes.fromhex(row.replace("-", ""))
        try:
            return self.keys[number].decrypt(nonce, text, bound)
        except InvalidTag:
            return None

    def rows(self, place):
        """(merchant, row, sealed text) of what is not blank."""
        for row in self.database.rows(PLACES[place]):
            merchant, *more = row.values()
            sealed = more[-1]
            if sealed is not None and len(sealed) > 0:
                yield merchant, more[0] if len(more) == 2 else merchant, bytes(sealed)

    def everything(self):
        """All plain texts, by place."""
        out = {}
        for place in PLACES:
            for merchant, row, sealed in self.rows(place):
                plain = self.opens(place, merchant, row, sealed)
                assert plain is not None, f"{place} of {row} does not open"
                out.setdefault(place, []).append(plain)
        return out


def number(text):
    """Of the key that has sealed it."""
    return Seal.parts(text)[0]
