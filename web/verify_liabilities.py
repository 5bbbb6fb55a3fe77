#!/usr/bin/env python3
"""Check a proof of liabilities by yourself: python3 verify_liabilities.py proof.json [--key venue.pem] [--expect USD=5]

proof.json is the answer of GET /v1/proofs/latest (or /v1/proofs/N) to your own key. It holds where every balance in it
is part of the total that the exchange signed. Look at the closing's date, and at the assets in which it says that you
have nothing: who leaves your balance out can't be caught by a proof, only by you. With --expect (once for each asset)
this program looks for you. Needs Python 3.9 or newer and nothing else; read it before you trust it.

Give --key with the venue's key as you noted it earlier: without it the signature is checked with the key in the file,
which shows that the file is whole but not who signed it. Exit code 0: all holds. 1: something does not.
"""

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

SUM_BYTES = 16
# What PKCS#1 puts before a SHA-256 hash.
SHA_256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def sum_bytes(units):
    return units.to_bytes(SUM_BYTES, "big")


def root_of(closing, row):
    """Hash and sum of the root that a balance leads to."""
    context = sha256(f"{closing}/{row['asset']}".encode())
    units = int(row["units"])
    digest = sha256(b"\x00", context, bytes.fromhex(row["nonce"]), sum_bytes(units), row["account"].encode())
    for step in row["path"]:
        own, other = digest + sum_bytes(units), bytes.fromhex(step["hash"]) + sum_bytes(int(step["units"]))
        digest = sha256(b"\x01", other, own) if step["side"] == "left" else sha256(b"\x01", own, other)
        units += int(step["units"])
    return digest.hex(), units


def read_der(data):
    """The first value of DER bytes, and what follows it."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def rsa_key(pem):
    """Modulus and exponent of a public key in PEM."""
    lines = [line for line in pem.splitlines() if line and not line.startswith("-----")]
    body, _ = read_der(base64.b64decode("".join(lines)))
    _, rest = read_der(body)
    bits, _ = read_der(rest)
    numbers, _ = read_der(bits[1:])
    modulus, rest = read_der(numbers)
    exponent, _ = read_der(rest)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def signature_holds(pem, text, signature):
    """RSASSA-PKCS1-v1_5 with SHA-256: the signature must be exactly the one padded hash there is."""
    modulus, exponent = rsa_key(pem)
    size = (modulus.bit_length() + 7) // 8
    tail = b"\x00" + SHA_256_INFO + hashlib.sha256(text.encode()).digest()
    expected = b"\x00\x01" + b"\xff" * (size - 2 - len(tail)) + tail
    found = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    return len(signature) == size and found == expected


def moment_of(statement):
    """When the books were closed, as the signed statement has it."""
    seconds = int(statement["until_ns"]) // 1_000_000_000
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def faults(proof, pem, expected):
    """What does not hold, in words."""
    statement = json.loads(proof["statement"])
    if not signature_holds(pem, proof["statement"], base64.b64decode(proof["signature"])):
        yield "the signature is not of this key over this statement"
    for name, signed in (("closing", statement["closing"]), ("until", moment_of(statement))):
        if proof[name] != signed:
            yield f"{name}: the answer says {proof[name]}, the signed statement {signed}"
    if not proof["balances"]:
        yield "there is no balance in it, so it proves nothing"
    for row in proof["balances"]:
        yield from faults_of(row, statement)
    for asset, amount in expected:
        if [Decimal(row["amount"]) for row in proof["balances"] if row["asset"] == asset] != [Decimal(amount)]:
            yield f"{asset}: that you had {amount} is not proven"


def faults_of(row, statement):
    """What does not hold of one balance."""
    signed = statement["liabilities"].get(row["asset"])
    if signed is None:
        yield f"{row['asset']}: the signed statement does not have it"
    elif root_of(statement["closing"], row) != (signed["root"], int(signed["units"])):
        yield f"{row['asset']}: {row['amount']} is not part of the signed total"
    elif Decimal(row["amount"]).scaleb(signed["scale"]) != int(row["units"]):
        yield f"{row['asset']}: {row['amount']} is not what is proven, {row['units']} units"


def main():
    options = argparse.ArgumentParser(description="Check a proof of liabilities.")
    options.add_argument("proof")
    options.add_argument("--key", help="the venue's public key, PEM")
    options.add_argument("--expect", action="append", default=[], help="what you had, like USD=59.92")
    asked = options.parse_args()
    proof = json.loads(Path(asked.proof).read_text(encoding="utf-8"))
    pem = Path(asked.key).read_text(encoding="utf-8") if asked.key else proof["public_key"]
    found = list(faults(proof, pem, [each.split("=", 1) for each in asked.expect]))
    statement = json.loads(proof["statement"])
    nothing = sorted(statement["liabilities"].keys() - {row["asset"] for row in proof["balances"]})
    for row in proof["balances"]:
        print(f"{row['asset']}: {row['amount']} of account {row['account']}")
    for fault in found:
        print(f"FAILS: {fault}", file=sys.stderr)
    if not found:
        print(f"Holds: what closing {statement['closing']} of {moment_of(statement)} owes includes these balances.")
        if nothing:
            print(f"It says that you had no {', '.join(nothing)}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
