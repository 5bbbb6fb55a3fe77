"""Every operation of the API's document has its step in tests/conformance/test_openapi_walk.py."""

import re

from tests.contract.cloud_definition import ROOT
from tests.contract.test_routes import operations


def test_every_operation_is_walked_and_no_other() -> None:
    text = (ROOT / "tests/conformance/test_openapi_walk.py").read_text()
    walked = set(re.findall(r'\bask\(\s*"(\w+)"', text))
    documented = {operation["operationId"] for _, _, operation in operations()}
    assert documented - walked == set(), "add a step with ask(operationId, ...), which must succeed"
    assert walked - documented == set()
