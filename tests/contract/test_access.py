"""Who may use which route: a row for each, and no row without one. tests/integration/test_access.py tries them all."""

import pytest

from tests.contract.test_routes import operations

PUBLIC, VIEW, TRADE, TRANSFER, PERSON, BANK = "public", "view", "trade", "transfer", "person", "bank"
# person: the access token of a login, no key; bank: the bank's own signature.
ACCESS = {
    "GET /time": PUBLIC,
    "GET /currencies": PUBLIC,
    "GET /currencies/{id}": PUBLIC,
    "GET /products": PUBLIC,
    "GET /products/stats": PUBLIC,
    "GET /products/spark-lines": PUBLIC,
    "GET /products/volume-summary": PUBLIC,
    "GET /products/{id}": PUBLIC,
    "GET /products/{id}/ticker": PUBLIC,
    "GET /products/{id}/book": PUBLIC,
    "GET /products/{id}/trades": PUBLIC,
    "GET /products/{id}/candles": PUBLIC,
    "GET /products/{id}/stats": PUBLIC,
    "GET /products/{id}/events": PUBLIC,
    "GET /udf/config": PUBLIC,
    "GET /udf/time": PUBLIC,
    "GET /udf/symbols": PUBLIC,
    "GET /udf/search": PUBLIC,
    "GET /udf/history": PUBLIC,
    "GET /orders": VIEW,
    "POST /orders": TRADE,
    "POST /orders/batch": TRADE,
    "POST /orders/test": TRADE,
    "POST /orders/cancel-after": TRADE,
    "DELETE /orders": TRADE,
    "GET /orders/{order_id}": VIEW,
    "PUT /orders/{order_id}": TRADE,
    "DELETE /orders/{order_id}": TRADE,
    "GET /fills": VIEW,
    "GET /fees": VIEW,
    "GET /v1/awards": VIEW,
    "GET /v1/referrals": VIEW,
    "GET /accounts": VIEW,
    "GET /coinbase-accounts": VIEW,
    "POST /coinbase-accounts/{id}/addresses": TRANSFER,
    "GET /accounts/{id}": VIEW,
    "GET /accounts/{id}/holds": VIEW,
    "GET /accounts/{id}/ledger": VIEW,
    "GET /accounts/{id}/balance": VIEW,
    "GET /accounts/{id}/transfers": VIEW,
    "GET /profiles": VIEW,
    "GET /profiles/{id}": VIEW,
    "POST /profiles": TRANSFER,
    "PUT /profiles/{id}": TRANSFER,
    "POST /profiles/transfer": TRANSFER,
    "GET /payment-methods": VIEW,
    "POST /deposits/payment-method": TRANSFER,
    "POST /withdrawals/payment-method": TRANSFER,
    "POST /withdrawals/crypto": TRANSFER,
    "GET /withdrawals/fee-estimate": VIEW,
    "GET /transfers": VIEW,
    "GET /transfers/{id}": VIEW,
    "GET /reports": VIEW,
    "POST /reports": VIEW,
    "GET /reports/{id}": VIEW,
    "GET /users/self/verify": VIEW,
    "GET /users/self/exchange-limits": VIEW,
    "POST /v1/users": PUBLIC,
    "POST /v1/users/confirm": PUBLIC,
    "POST /v1/users/resend": PUBLIC,
    "GET /v1/users/self": VIEW,
    "PATCH /v1/users/self": PERSON,
    "POST /v1/sessions": PUBLIC,
    "POST /v1/sessions/refresh": PUBLIC,
    "GET /v1/api-keys": PERSON,
    "POST /v1/api-keys": PERSON,
    "DELETE /v1/api-keys/{key_id}": PERSON,
    "POST /v1/api-keys/{key_id}/rotations": PERSON,
    "POST /v1/transfers": TRANSFER,
    "GET /v1/withdrawals/safeguards": VIEW,
    "PUT /v1/withdrawals/safeguards": PERSON,
    "POST /v1/withdrawals/totp": PERSON,
    "POST /v1/withdrawals/totp/confirm": PERSON,
    "POST /v1/withdrawals/totp/remove": PERSON,
    "GET /v1/withdrawals/destinations": VIEW,
    "POST /v1/withdrawals/destinations": PERSON,
    "DELETE /v1/withdrawals/destinations/{id}": PERSON,
    "POST /v1/withdrawals/{id}/cancel": TRANSFER,
    "GET /v1/proofs": PUBLIC,
    "GET /v1/proofs/{closing}": VIEW,
    "POST /v1/payments/bank/notifications": BANK,
    "POST /v1/payments/stripe/events": BANK,
}


def test_every_route_has_its_row_and_every_row_its_route() -> None:
    assert {f"{method} {path}" for method, path, _ in operations()} == set(ACCESS)


@pytest.mark.parametrize("route", ACCESS)
def test_the_document_says_whether_a_route_is_open(route: str) -> None:
    document = {f"{method} {path}": operation for method, path, operation in operations()}
    assert (document[route].get("security") == []) == (ACCESS[route] in {PUBLIC, BANK})
