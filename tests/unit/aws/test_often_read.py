"""What is read by the short way is what PynamoDB itself would have read."""

from typing import Any

import pytest
from exchange.aws.dynamodb import OftenRead
from exchange.ledger.store import BalanceItem
from exchange.orders.store import OrderItem
from exchange.statements.store import StatementItem
from pynamodb.exceptions import AttributeDeserializationError
from pynamodb.models import Model

from matcher.lease_store import LeaseItem

MODELS: tuple[Any, ...] = (OrderItem, BalanceItem, StatementItem, LeaseItem)
VALUES = {"N": "7", "S": "[]", "BOOL": True}


def whole(model: Any) -> dict[str, Any]:
    """An item that has every attribute of a model."""
    kinds = {attribute.attr_name: attribute.attr_type for attribute in model.get_attributes().values()}
    return {name: {kind: VALUES[kind]} for name, kind in kinds.items()}


def by_pynamodb(model: Any, item: dict[str, Any]) -> dict[str, Any]:
    """What PynamoDB's own reading makes of an item."""
    own: Any = Model.from_raw_data
    read: Any = own.__func__(model, item)
    return dict(read.attribute_values)


def test_each_model_that_is_often_read_is_asked_here() -> None:
    assert set(OftenRead.__subclasses__()) == set(MODELS)
    assert set(MODELS) <= set(Model.__subclasses__())  # as whoever resets every table's connection relies on


@pytest.mark.parametrize("model", MODELS)
def test_an_item_is_read_as_pynamodb_reads_it_whatever_it_lacks(model: Any) -> None:
    item = whole(model)
    lacking = [{name: value for name, value in item.items() if name != absent} for absent in item]
    nulls = [{**item, name: {"NULL": True}} for name in item]
    for given in (item, {}, {**item, "unknown": {"S": "x"}}, *lacking, *nulls):
        assert model.from_raw_data(given).attribute_values == by_pynamodb(model, given)


@pytest.mark.parametrize("model", MODELS)
def test_an_attribute_of_another_type_is_refused(model: Any) -> None:
    for name in whole(model):
        with pytest.raises(AttributeDeserializationError):
            model.from_raw_data({**whole(model), name: {"SS": ["7"]}})


@pytest.mark.parametrize("model", MODELS)
def test_what_was_read_is_written_back_as_it_was(model: Any) -> None:
    assert model.from_raw_data(whole(model)).serialize() == whole(model)
