"""Closings and proofs as they are shown to customers. `web/verify_liabilities.py` reads them."""

import base64
import datetime as dt
from collections.abc import Iterable
from typing import Any

from exchange.books.files import OwnProof
from exchange.books.liabilities import Way
from exchange.books.model import Closing
from exchange.kernel.money import format_units


def closing_view(closing: Closing) -> dict[str, Any]:
    """What everybody may see of a closing, and check with the key."""
    moment = dt.datetime.fromtimestamp(closing.until_ns // 1_000_000_000, dt.UTC)
    owed = closing.liabilities()
    return {
        "closing": closing.number,
        "until": moment.isoformat().replace("+00:00", "Z"),
        "liabilities": {
            asset: {"amount": format_units(row.units, row.scale), "accounts": row.accounts}
            for asset, row in owed.items()
        },
        "statement": closing.statement,
        "statement_hash": closing.statement_hash,
        "signature": base64.b64encode(closing.signature).decode(),
        "public_key": closing.public_key,
    }


def proof_view(closing: Closing, proofs: Iterable[OwnProof]) -> dict[str, Any]:
    """A closing with what it owes one account, and the ways that prove it."""
    owed = closing.liabilities()
    rows = [
        {
            "asset": proof.asset,
            "account": proof.account,
            "amount": format_units(proof.way.leaf.node.units, owed[proof.asset].scale),
            **_way_view(proof.way),
        }
        for proof in proofs
    ]
    return {**closing_view(closing), "balances": rows}


def _way_view(way: Way) -> dict[str, Any]:
    return {
        "units": str(way.leaf.node.units),
        "nonce": way.leaf.nonce.hex(),
        "path": [
            {
                "side": "left" if step.left else "right",
                "hash": step.node.hash.hex(),
                "units": str(step.node.units),
            }
            for step in way.steps
        ],
    }
