#!/usr/bin/env python3
"""Makes the keys of keys.json from README.md alone, and compares. `--write` writes them instead."""

import hashlib
import hmac
import json
import pathlib
import re
import sys
from decimal import Decimal

FILE = pathlib.Path(__file__).with_name("keys.json")


def number(n):
    return n.to_bytes(8, "big")


def bytes_(b):
    return number(len(b)) + b


def text(t):
    return bytes_(t.encode("utf-8"))


def listed(items, item):
    return number(len(items)) + b"".join(item(i) for i in items)


class Number:
    """A JSON number as it is written."""

    def __init__(self, written):
        self.written = written


def normal(written):
    """The one text of a number's value, as README.md has it under *numbers*."""
    negative, digits, exponent = Decimal(written).as_tuple()
    all_digits = "".join(map(str, digits)).lstrip("0")
    digits = all_digits.rstrip("0")
    exponent += len(all_digits) - len(digits)
    k = len(digits)
    point = k + exponent
    if k == 0:
        return "0"
    if k <= point <= 21:
        out = digits + "0" * (point - k)
    elif 0 < point <= 21:
        out = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        out = "0." + "0" * -point + digits
    else:
        out = digits[0] + ("." + digits[1:] if k > 1 else "") + "e%+d" % (point - 1)
    return ("-" if negative else "") + out


def canonical(v):
    if isinstance(v, dict):
        members = sorted(v.items(), key=lambda m: m[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(n) + ":" + canonical(m) for n, m in members) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(canonical, v)) + "]"
    if isinstance(v, Number):
        return normal(v.written)
    return json.dumps(v, ensure_ascii=False)


def digest(vector, purpose, parts, mode=None):
    message = text("semel") + text(purpose) + number(2) + text(mode or vector.get("mode", "enforce")) + parts
    secret = vector.get("secret")
    if secret is None:
        return hashlib.sha256(message).digest()
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def fields(fields_):
    ordered = sorted(fields_, key=lambda f: f["name"].encode())
    return listed(ordered, lambda f: text(f["name"]) + text(canonical(f["value"])))


def handles(undoes):
    return listed(sorted(set(undoes), key=str.encode), text)


def action(v):
    if v["operation"] is not None:
        return text("operation") + text(v["operation"])
    return text("tool") + text(v["tool"]) + listed([v["server"]] if "server" in v else [], text)


def instance(v):
    instances = [v["instance"]] if "instance" in v else []
    return listed(instances, lambda i: bytes_(bytes.fromhex(i["server"])) + number(int(i["occurrence"].written)))


def uuid(d, version):
    b = bytearray(d[:16])
    b[6] = b[6] & 0x0F | version << 4
    b[8] = b[8] & 0x3F | 0x80
    h = b.hex()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def downstream(v, key, generation, series):
    d = digest(v, "downstream", bytes_(key) + number(generation) + number(series))
    return {"generation": generation, "series": series, "uuid4": uuid(d, 4), "uuid5": uuid(d, 5),
            "uuid8": uuid(d, 8), "hex32": d.hex()[:32], "hex45": d.hex()[:45], "hex64": d.hex()}


def expected(v):
    space = text(v["name_space"]) + text(v["tenant"])
    if "handle" in v:
        return {"handle_key": digest(v, "handle", space + text(v["handle"])).hex()}
    scope = text("run") + text(v["run"]) if v["scope"] == "run" else text("tenant")
    meaning = fields(v["identity"]) + handles(v["undoes"]) + instance(v)
    key = digest(v, "operation", space + scope + action(v) + meaning)
    out = {
        "store_key": key.hex(),
        "fingerprint": digest(v, "content", space + action(v) + fields(v["content"])).hex(),
        "call_digest": digest(v, "call", space + scope + text(v["tool"]) + text(canonical(v["arguments"]))).hex(),
        "downstream": [downstream(v, key, *at) for at in ((1, 1), (1, 2), (2, 1), (4294967295, 4294967295))],
    }
    if "secret" in v:
        out["secret_id"] = digest(v, "secret-id", b"", "enforce")[:8].hex()
    return out


def plain(v):
    """A value with Python's own numbers, to compare what the vectors expect."""
    if isinstance(v, dict):
        return {n: plain(m) for n, m in v.items()}
    if isinstance(v, list):
        return list(map(plain, v))
    return int(v.written) if isinstance(v, Number) else v


def dump(value):
    """JSON with each number as it was written."""
    text_ = json.dumps(value, ensure_ascii=True, indent=2, default=lambda n: "@number " + n.written)
    return re.sub(r'"@number ([^"]*)"', r"\1", text_) + "\n"


def main():
    vectors = json.loads(FILE.read_text("utf-8"), parse_int=Number, parse_float=Number)
    if "--write" in sys.argv:
        for v in vectors["vectors"]:
            v["expected"] = expected(v)
        FILE.write_text(dump(vectors), "utf-8")
        return
    wrong = [v["what"] for v in vectors["vectors"] if plain(v["expected"]) != expected(v)]
    if wrong:
        sys.exit("differs from keys.json: " + "; ".join(wrong))
    print(len(vectors["vectors"]), "vectors agree")


main()
