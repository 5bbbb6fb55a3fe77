import uuid

from exchange.kernel.ids import ID_MAX, account_uuid, command_id_for, from_uuid, order_id_for, random_id, to_uuid
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(min_value=0, max_value=ID_MAX))
def test_an_id_survives_its_uuid_shape(identifier: int) -> None:
    text = to_uuid(identifier)
    assert str(uuid.UUID(text)) == text
    assert from_uuid(text) == from_uuid(text.replace("-", "").upper()) == identifier


def test_a_uuid_of_somebody_else_is_no_id_of_ours() -> None:
    assert from_uuid(str(uuid.uuid4())) is None
    assert from_uuid("not a uuid") is None
    assert from_uuid(account_uuid(1, "USD")) is None


def test_the_same_intent_has_the_same_id() -> None:
    assert order_id_for(1, "a") == order_id_for(1, "a")
    assert len({order_id_for(1, "a"), order_id_for(2, "a"), order_id_for(1, "b")}) == 3
    assert len(command_id_for("place", 1)) == 16
    assert 0 < random_id() <= ID_MAX
