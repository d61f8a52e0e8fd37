"""Tokens that must not be believed: every known way to make one out of a good one, or of nothing."""

import base64
import hashlib
import hmac
import json

SUM = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def mac(signed, key, alg="HS256"):
    key = key.encode() if isinstance(key, str) else key
    return b64(hmac.new(key, signed.encode(), SUM[alg]).digest())


def parts_of(token):
    header, claims, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(claims))


def signed(header, claims, key, alg="HS256"):
    """header and claims are objects, or texts as they shall be."""
    h = header if isinstance(header, str) else compact(header)
    c = claims if isinstance(claims, str) else compact(claims)
    text = f"{b64(h)}.{b64(c)}"
    return f"{text}.{mac(text, key, alg)}"


def without(obj, *names):
    return {k: v for k, v in obj.items() if k not in names}


NONE = ["none", "None", "NONE", "nOnE", "noNe", "none ", " none", "none\u0000", "n\u043ene", "", "null", None, 0,
        False, [], ["none"], {}]
OTHER_ALGS = ["RS256", "RS384", "ES256", "PS256", "EdDSA", "HS384", "HS512", "hs256", "Hs256", "HS256 ", "HS-256",
              "HS2566", "HS256\u0000", ["HS256"], {"HS256": True}, 256, True, "dir", "A128KW"]
KIDS = ["", " ", None, 0, 1, True, [], {}, "unknown", "../../../../dev/null", "/dev/null", "file:///dev/null",
        "https://evil.example/key", "x' union select 'key' --", "' or '1'='1", "$(id)", "%00", "\u0000", "\n",
        "k" * 129, "k" * 4000]
# What brings a key along, or changes what is signed and how.
OWN_JWK = {"kty": "oct", "kid": "mine", "k": b64("0" * 32), "alg": "HS256"}
HEADER_FIELDS = {"jku": "https://evil.example/jwks.json", "jwk": OWN_JWK, "x5u": "https://evil.example/cert.pem",
                 "x5c": ["MIIB"], "crit": ["exp"], "b64": False, "zip": "DEF", "enc": "A128GCM", "cty": "JWT",
                 "epk": {}}
TYPES = ["jwt", "JWS", "at+jwt", "JWE", "", None, 1, ["JWT"]]
TIMES = ["exp", "iat", "nbf"]
NO_TIMES = ['"%d"', "%d.0", "%de0", "[%d]", '{"v":%d}', "null", "true", "-1", "1e400", "NaN", "99999999999999999999",
            "9223372036854775807", "253402300800", '""']


def hs256(good, key, now):
    """(name, token): bad relatives of a good access token that `key` has signed."""
    header, claims = parts_of(good)
    h, c, s = good.split(".")
    text = f"{h}.{c}"

    def with_claims(**more):
        return signed(header, claims | more, key)

    # ---- algorithm ----
    for alg in NONE:
        none = f"{b64(compact(header | {'alg': alg}))}.{c}"
        yield f"alg {alg!r}, nothing signed", none + "."
        yield f"alg {alg!r}, the old signature", f"{none}.{s}"
        yield f"alg {alg!r}, signed", f"{none}.{mac(none, key)}"
    for alg in OTHER_ALGS:
        yield f"alg {alg!r}", signed(header | {"alg": alg}, claims, key)
    for alg in ("HS384", "HS512"):
        yield f"{alg} as it is", signed(header | {"alg": alg}, claims, key, alg)
        yield f"{alg} called HS256", signed(header, claims, key, alg)
    yield "no alg", signed(without(header, "alg"), claims, key)
    yield "Alg", signed(without(header, "alg") | {"Alg": "HS256"}, claims, key)

    # ---- kid ----
    yield "no kid", signed(without(header, "kid"), claims, key)
    for kid in KIDS:
        yield f"kid {str(kid)[:40]!r}", signed(header | {"kid": kid}, claims, key)
    for secret in ("", "key", "0" * 32):
        yield f"kid of a file, signed with {secret!r}", signed(header | {"kid": "/dev/null"}, claims, secret)
    yield "kid with a tail", signed(header | {"kid": header["kid"] + "x"}, claims, key)
    yield "kid cut short", signed(header | {"kid": header["kid"][:-1]}, claims, key)
    yield "kid in a list", signed(header | {"kid": [header["kid"]]}, claims, key)

    # ---- other header fields ----
    for name, value in HEADER_FIELDS.items():
        yield f"{name}", signed(header | {name: value}, claims, key)
        yield f"{name} null", signed(header | {name: None}, claims, key)
    yield "own jwk, signed with it", signed(header | {"jwk": OWN_JWK, "kid": "mine"}, claims, "0" * 32)
    for typ in TYPES:
        yield f"typ {typ!r}", signed(header | {"typ": typ}, claims, key)

    # ---- duplicates and no JSON ----
    text_h, text_c = compact(header), compact(claims)
    for name in header:
        twice = text_h[:-1] + f',"{name}":{compact(header[name])}' + "}"
        yield f"{name} twice", signed(twice, claims, key)
        escaped = text_h[:-1] + f',"\\u{ord(name[0]):04x}{name[1:]}":"none"' + "}"
        yield f"{name} twice, once escaped", signed(escaped, claims, key)
    for name in claims:
        twice = text_c[:-1] + f',"{name}":{compact(claims[name])}' + "}"
        yield f"{name} twice", signed(header, twice, key)
    for name, broken in {"a list": f"[{text_c}]", "a tail": text_c + "{}", "a comma": text_c[:-1] + ",}",
                         "cut": text_c[:-1], "a BOM": "\ufeff" + text_c, "null": "null", "a string": '"x"',
                         "nothing in it": "{}", "single quotes": text_c.replace('"', "'"),
                         "a NUL": text_c[:-1] + ',"x":"\\u0000"}'}.items():
        yield f"claims with {name}", signed(header, broken, key)
    for name, broken in {"a list": f"[{text_h}]", "a tail": text_h + "{}", "a comma": text_h[:-1] + ",}",
                         "cut": text_h[:-1], "a BOM": "\ufeff" + text_h, "null": "null"}.items():
        yield f"header with {name}", signed(broken, claims, key)
    yield "claims nested too deep", signed(header, text_c[:-1] + ',"x":' + "[" * 40 + "]" * 40 + "}", key)

    # ---- claims ----
    for name in TIMES:
        for form in NO_TIMES:
            value = form.replace("%d", str(claims[name]))
            yield f"{name} {form}", signed(header, text_c.replace(f'"{name}":{claims[name]}', f'"{name}":{value}'), key)
    for name in ("exp", "iat", "iss", "aud", "sub", "sid"):
        yield f"no {name}", signed(header, without(claims, name), key)
    yield "over", with_claims(iat=now - 7200, nbf=now - 7200, exp=now - 3600)
    yield "not yet (nbf)", with_claims(nbf=now + 3600, exp=now + 7200)
    yield "not yet (iat)", with_claims(iat=now + 3600, exp=now + 7200)
    for name in ("iss", "aud"):
        for value in (claims[name] + "-evil", claims[name][:-1], claims[name].upper(), [claims[name]], None, "", 1,
                      f"https://{claims[name]}"):
            yield f"{name} {value!r}", with_claims(**{name: value})
    nobody = "01900000-0000-7000-8000-000000000000"
    for name in ("sub", "sid"):
        for value in (nobody, "00000000-0000-0000-0000-000000000000", claims[name] + "x", claims[name][:-1], "*", "",
                      None, 7, True, [claims[name]], {"id": claims[name]}, f"{claims[name]}' or '1'='1", " " + claims[name],
                      claims[name].replace("-", "")):
            yield f"{name} {value!r}", with_claims(**{name: value})
    yield "sub and sid changed for each other", with_claims(sub=claims["sid"], sid=claims["sub"])

    # ---- signature ----
    yield "another installation's key", signed(header, claims, "jwt-secret-of-somebody-else-0123456789")
    for secret in ("", "secret", key[:-1], key + "0", key.upper(), json.dumps(key)):
        yield f"key {secret[:8]!r}…", signed(header, claims, secret)
    yield "the key's digest as key", signed(header, claims, hashlib.sha256(key.encode()).digest())
    yield "more rights, the old signature", f"{h}.{b64(compact(claims | {'role': 'owner'}))}.{s}"
    yield "another sub, the old signature", f"{h}.{b64(compact(claims | {'sub': nobody}))}.{s}"
    raw = unb64(s)
    for n in (1, 16, 31):
        yield f"{n} bytes of the signature", f"{text}.{b64(raw[:n])}"
    yield "a longer signature", f"{text}.{b64(raw + bytes(1))}"
    yield "the signature twice", f"{text}.{b64(raw + raw)}"
    yield "a bit of the signature", f"{text}.{b64(bytes([raw[0] ^ 1]) + raw[1:])}"
    yield "the last bit of the signature", f"{text}.{b64(raw[:-1] + bytes([raw[-1] ^ 1]))}"
    yield "a signature of nothing but zeros", f"{text}.{b64(bytes(32))}"
    yield "the signature in hex", f"{text}.{raw.hex()}"

    # ---- form ----
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    beside = alphabet[alphabet.index(s[-1]) ^ 1]  # the same 32 bytes to a careless reader
    yield "bits left over in the last character", good[:-1] + beside
    yield "padding", good + "="
    yield "more padding", good + "=="
    yield "padding in the middle", f"{h}=.{c}.{s}"
    yield "two parts", text
    yield "two parts and a dot", text + "."
    yield "four parts", good + "." + s
    yield "a dot behind", good + "."
    yield "a dot before", "." + good
    yield "five parts", f"{h}.{c}.{s}.{c}.{s}"
    yield "no header", f".{c}.{s}"
    yield "no claims", f"{h}..{s}"
    yield "only dots", ".."
    yield "twice", good + good
    yield "two of them", good + "," + good
    yield "a blank in it", f"{h}. {c}.{s}"
    yield "a tail of four", good + "AAAA"
    yield "a tail behind NUL's code", good + "%00"
    yield "the parts in another order", f"{c}.{h}.{s}"
    yield "standard base64", signed(header, claims | {"x": "\u00bf\u00ff~~~???"}, key).translate({45: "+", 95: "/"}) + "/"
    yield "not base64 at all", f"{text_h}.{text_c}.{s}"
    yield "as JSON", compact({"protected": h, "payload": c, "signature": s})
    yield "too long", signed(header, claims | {"x": "x" * 8192}, key)


def api_keys(good):
    """(name, key): bad relatives of a good API key, by shape and by value."""
    other = "0" if good[-1] != "0" else "1"
    yield "another last digit", good[:-1] + other
    yield "another first digit", good[:8] + ("0" if good[8] != "0" else "1") + good[9:]
    yield "cut short", good[:-1]
    yield "longer", good + "0"
    yield "capitals", good[:8] + good[8:].upper()[:47] + "F"
    yield "the other mode", good.replace("_test_", "_live_")
    yield "another kind", "rk" + good[2:]
    yield "no kind", "xx" + good[2:]
    yield "zeros", good[:8] + "0" * 48
    yield "only the prefix", good[:8]
    yield "only the digits", good[8:]
    yield "no hex", good[:8] + "g" * 48
    yield "a wildcard", good[:8] + "%" * 48
    yield "quoted", f'"{good}"'
    yield "two of them", f"{good},{good}"
    yield "as basic authentication has it", base64.b64encode(f"{good}:".encode()).decode()
    yield "a client token that is none", "rct_" + "0" * 114
    yield "a refresh token that is none", "rrt_" + "0" * 72
    yield "a word", "admin"
    yield "null", "null"
    yield "undefined", "undefined"


def id_tokens(sign, project, now, pem, jwk):
    """(name, ID token): what is no good one for a project. `sign` asks the sandbox, pem and jwk are the public halves
    of the key that counts."""
    good = sign()
    header, claims = parts_of(good)
    h, c, s = good.split(".")
    text_h, text_c = compact(header), compact(claims)
    evil = sign(claims=claims | {"sub": "somebody-else"}, signer="stranger")

    def heads(**more):
        return sign(payload=text_c, header=compact(header | more))

    # ---- algorithm ----
    for alg in NONE:
        none = f"{b64(compact(header | {'alg': alg}))}.{c}"
        yield f"alg {alg!r}, nothing signed", none + "."
        yield f"alg {alg!r}, the old signature", f"{none}.{s}"
    yield "an emulator's", b64('{"alg":"none","typ":"JWT"}') + f".{c}."
    for alg in ("RS384", "RS512", "PS256", "ES256", "rs256", "RS256 ", ["RS256"], {}, 256, True, "HS256"):
        yield f"alg {alg!r}", heads(alg=alg)
    yield "no alg", sign(payload=text_c, header=compact(without(header, "alg")))
    public = {"PEM": pem, "PEM without its end of line": pem.rstrip("\n"), "PEM's base64": "".join(pem.split("\n")[1:-2]),
              "DER": base64.b64decode("".join(pem.split("\n")[1:-2])), "modulus": unb64(jwk["n"]), "modulus' text": jwk["n"],
              "JWK": compact(jwk), "kid": header["kid"], "nothing": ""}
    for name, key in public.items():
        for alg in ("HS256", "RS256"):
            yield f"{alg}, an HMAC with the public key: {name}", signed(header | {"alg": alg}, claims, key)

    # ---- kid ----
    yield "no kid", sign(payload=text_c, header=compact(without(header, "kid")))
    for kid in KIDS:
        yield f"kid {str(kid)[:40]!r}", heads(kid=kid)
    yield "kid in capitals", heads(kid=header["kid"].upper())

    # ---- other header fields ----
    for name, value in (HEADER_FIELDS | {"jwk": jwk}).items():
        yield name, heads(**{name: value})
    for typ in TYPES:
        yield f"typ {typ!r}", heads(typ=typ)
    yield "a stranger's", evil
    yield "a stranger's signature", f"{h}.{c}.{evil.split('.')[2]}"
    yield "another sub, the old signature", f"{h}.{b64(compact(claims | {'sub': 'x'}))}.{s}"

    # ---- duplicates and no JSON ----
    for name in ("aud", "iss", "sub", "exp"):
        yield f"{name} twice", sign(payload=text_c[:-1] + f',"{name}":{compact(claims[name])}' + "}")
    yield "alg twice", sign(payload=text_c, header=text_h[:-1] + ',"alg":"RS256"}')
    for name, broken in {"a list": f"[{text_c}]", "a tail": text_c + "{}", "cut": text_c[:-1], "null": "null",
                         "nothing in it": "{}"}.items():
        yield f"claims with {name}", sign(payload=broken)

    # ---- claims ----
    times = ("exp", "iat", "auth_time")
    for name in times:
        for form in NO_TIMES:
            value = form.replace("%d", str(claims[name]))
            yield f"{name} {form}", sign(payload=text_c.replace(f'"{name}":{claims[name]}', f'"{name}":{value}'))
    for name in times + ("iss", "aud", "sub"):
        yield f"no {name}", sign(without=[name])
    yield "over", sign(claims={"exp": now - 65, "iat": now - 3665})
    yield "not yet (iat)", sign(claims={"iat": now + 120})
    yield "not yet (auth_time)", sign(claims={"auth_time": now + 120})
    yield "not yet (nbf)", sign(claims={"nbf": now + 120})
    issuer = "https://securetoken.google.com/"
    for value in (issuer + project + "-evil", issuer + "other", issuer, issuer + project + "/", f"http://{issuer[8:]}{project}",
                  f"https://session.firebase.google.com/{project}", "https://accounts.google.com", project, None, "",
                  [issuer + project], 7):
        yield f"iss {value!r}", sign(claims={"iss": value})
    for value in (project + "2", project[:-1], project.upper(), [project], [project, "other"], None, "", 7,
                  "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"):
        yield f"aud {value!r}", sign(claims={"aud": value})
    for value in ("", "x" * 129, None, 7, True, ["x"], "a\tb", "a\u0000b", "a\u007fb"):
        yield f"sub {value!r}"[:60], sign(payload=compact(claims | {"sub": value}))
    yield "uid in the place of sub", sign(payload=compact(without(claims, "sub") | {"uid": claims["sub"]}))
    yield "of a tenant", sign(claims={"firebase": {"sign_in_provider": "saml.evil", "tenant": "t-1"}})
    yield "a legacy custom token", signed({"alg": "HS256", "typ": "JWT"}, {"v": 0, "d": {"uid": "x"}}, "secret")

    # ---- signature and form ----
    raw = unb64(s)
    for n in (1, 128, 255):
        yield f"{n} bytes of the signature", f"{h}.{c}.{b64(raw[:n])}"
    yield "a longer signature", f"{h}.{c}.{b64(bytes(1) + raw)}"
    yield "a bit of the signature", f"{h}.{c}.{b64(raw[:-1] + bytes([raw[-1] ^ 1]))}"
    yield "a signature of zeros", f"{h}.{c}.{b64(bytes(256))}"
    yield "a signature of ones", f"{h}.{c}.{b64(bytes(255) + bytes([1]))}"
    yield "no signature", f"{h}.{c}."
    yield "two parts", f"{h}.{c}"
    yield "four parts", good + "." + s
    yield "padding", good + "=="
    yield "bits left over in the last character", good[:-1] + ("R" if good[-1] == "Q" else chr(ord(good[-1]) + 1))
    yield "a tail", good + "AAAA"
    yield "a dot before", "." + good
    yield "too long", sign(claims={"x": "x" * 8192})
    yield "a word", "admin"
