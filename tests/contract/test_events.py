"""docs/events.md names every event and its fields, and the functions and state machines send no other."""

import re

import pytest
from exchange.ledger.model import GENESIS, Batch, Entry, EntryKind
from exchange.settlement.confirming import SOURCE, TRADE_BUSTED, TRADES_SETTLED, confirmation

from tests.contract.cloud_definition import ROOT, definition, state_machines, walk

ROW = re.compile(r"\| `([\w.]+)` \| `(\w+)` \| [^|]+ \| ([^|]+) \|")
DOCUMENTED = {
    (source, kind): set(re.findall(r"`(\w+)`", fields))
    for source, kind, fields in ROW.findall((ROOT / "docs/events.md").read_text())
}
ENTRIES = (Entry("1", "USD", -5, EntryKind.MATCH, "7"), Entry("2", "USD", 5, EntryKind.MATCH, "7"))


@pytest.mark.parametrize(
    ("partition", "kind"), [("product:ACME-USD", TRADES_SETTLED), ("busts:ACME-USD", TRADE_BUSTED)]
)
def test_a_confirmation_has_the_fields_that_are_documented(partition: str, kind: str) -> None:
    found = confirmation(Batch(partition, 3, GENESIS, 0, "7", ENTRIES))
    assert found is not None
    assert found.kind == kind
    assert set(found.detail) == DOCUMENTED[SOURCE, kind]


def test_the_state_machines_send_what_is_documented() -> None:
    sent = {
        (node["Source"], node["DetailType"]): {key.removesuffix(".$") for key in node["Detail"]}
        for file in state_machines()
        for node in walk(definition(file))
        if isinstance(node, dict) and "DetailType" in node
    }
    assert sent == {key: fields for key, fields in DOCUMENTED.items() if key[0] != SOURCE}
