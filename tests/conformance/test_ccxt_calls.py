"""The table of docs/api/clients.md is whole and true: each call that ccxt reports has a test here that makes it."""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ccxt = pytest.importorskip("ccxt")
ccxtpro = pytest.importorskip("ccxt.pro")

PAGE = Path(__file__).parents[2] / "docs" / "api" / "clients.md"
NO_CALLS = {"publicAPI", "privateAPI", "CORS", "spot", "ws"}
IN_PYTHON = {"fetchMarkets": "load_markets"}  # Where ccxt has no such rule.


def rows() -> dict[str, str]:
    """The calls of both tables, and what is said beside each."""
    found = re.findall(r"^\| ([a-z]\w+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    calls = [call for call, _ in found if call not in {"client", "call", "freqtrade"}]
    assert len(calls) == len(set(calls))
    return {call: said for call, said in found if call in calls}


def reported() -> set[str]:
    """What each kind of client says it can do; the asynchronous one is what ccxt.pro's is made of."""
    kinds = (ccxt.coinbaseexchange(), ccxtpro.coinbaseexchange())
    return {name for kind in kinds for name, supported in kind.has.items() if supported} - NO_CALLS


def test_every_call_that_ccxt_reports_is_in_the_table_and_no_other() -> None:
    assert rows().keys() == reported()


@pytest.mark.parametrize(("call", "said"), [row for row in rows().items() if "::" in row[1]])
def test_the_test_that_is_named_makes_the_call(call: str, said: str) -> None:
    module, name = said.split("::")
    source = _source(importlib.import_module(f"tests.conformance.{module}"), name)
    method = IN_PYTHON.get(call) or re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", call).lower()
    assert re.search(rf"\b{method}\b", source), f"{name} never calls {method}"


def _source(module: ModuleType, name: str) -> str:
    """The test's text, its parameters and the functions beside it that it calls."""
    test = getattr(module, name)
    text = inspect.getsource(test)
    beside = [getattr(module, called, None) for called in re.findall(r"\b(\w+)\(", text)]
    helpers = [inspect.getsource(one) for one in beside if inspect.isfunction(one) and one is not test]
    return "".join([text, *helpers])
