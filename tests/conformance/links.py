"""What follows from an answer, as links of the API's document: an order's id is for getting, amending and ending it.

They stand here and not in the document, which API Gateway imports: what it makes of links was not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ID, FIRST = "$response.body#/id", "$response.body#/0/id"
ORDER = {"product_id": "ACME-USD", "side": "buy", "type": "limit", "price": "90", "size": "1"}
BATCH = {"product_id": "ACME-USD", "orders": [{"side": "buy", "price": "90", "size": "1"}]}
PAID = {"amount": "1", "currency": "USD", "payment_method_id": "sandbox-bank-USD"}


@dataclass(frozen=True)
class Link:
    """The answer of `source` has what `target` needs: `parameters` by name, or all of its `body`."""

    source: str
    target: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def name(self) -> str:
        """Its name in the document."""
        return f"{self.source}-{self.target}"

    def definition(self) -> dict[str, Any]:
        """As OpenAPI has it; schemathesis sends the whole body as it is."""
        found: dict[str, Any] = {"operationId": self.target, "parameters": dict(self.parameters)}
        if self.body is not None:
            found |= {"requestBody": self.body, "x-schemathesis": {"merge_body": False}}
        return found


LINKS = (
    # From lists that anybody has to what can be made of them: bodies made at random are seldom accepted.
    Link("listProducts", "placeOrder", body=ORDER),
    Link("listProducts", "placeOrders", body=BATCH),
    Link("listPaymentMethods", "deposit", body=PAID),
    Link("listPaymentMethods", "withdrawToPaymentMethod", body=PAID),
    Link("listPaymentMethods", "addDestination", body={"payment_method_id": "sandbox-bank-USD", "label": "mine"}),
    Link("listProfiles", "createProfile", body={"name": "one more"}),
    Link("listProfiles", "createApiKey", body={"name": "linked", "scopes": ["view"]}),
    Link("listReports", "askForReport", body={"type": "account", "account": {"account_id": "ALL"}}),
    # From what was made to its life.
    Link("placeOrder", "getOrder", {"order_id": ID}),
    Link("placeOrder", "amendOrder", {"order_id": ID}, {"size": "0.5"}),
    Link("placeOrder", "cancelOrder", {"order_id": ID}),
    Link("placeOrder", "listFills", {"order_id": ID}),
    Link("placeOrders", "getOrder", {"order_id": FIRST}),
    Link("placeOrders", "cancelOrder", {"order_id": FIRST}),
    Link("listOrders", "getOrder", {"order_id": FIRST}),
    Link("listOrders", "cancelOrder", {"order_id": FIRST}),
    Link("deposit", "getTransfer", {"id": ID}),
    Link("withdrawToPaymentMethod", "getTransfer", {"id": ID}),
    Link("withdrawToPaymentMethod", "cancelWithdrawal", {"id": ID}),
    Link("listTransfers", "getTransfer", {"id": FIRST}),
    Link("createApiKey", "rotateApiKey", {"key_id": ID}, {"overlap_hours": 1}),
    Link("createApiKey", "revokeApiKey", {"key_id": ID}),
    Link("rotateApiKey", "revokeApiKey", {"key_id": ID}),
    Link("createProfile", "getProfile", {"id": ID}),
    Link("createProfile", "renameProfile", {"id": ID}, {"name": "renamed"}),
    Link("addDestination", "removeDestination", {"id": ID}),
    Link("askForReport", "getReport", {"id": ID}),
    Link("listAccounts", "getAccount", {"id": FIRST}),
    Link("listAccounts", "listHolds", {"id": FIRST}),
    Link("listAccounts", "listLedger", {"id": FIRST}),
    Link("listAccounts", "listAccountTransfers", {"id": FIRST}),
    Link("listClosings", "getProof", {"closing": "$response.body#/0/closing"}),
)


def linked(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the links in it."""
    operations = {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    for link in LINKS:
        answer = operations[link.source]["responses"]["200"]
        answer.setdefault("links", {})[link.name] = link.definition()
    return document
