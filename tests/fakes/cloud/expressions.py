"""DynamoDB's condition and update expressions, compiled once into functions."""

import re
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

Item = MutableMapping[str, dict[str, Any]]
Names = Mapping[str, str]
Values = Mapping[str, dict[str, Any]]
Condition = Callable[[Mapping[str, dict[str, Any]], Names, Values], bool]
Update = Callable[[Item, Names, Values], None]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[(),=<>+-]|#\w+|:\w+|\w+)")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def plain(value: Mapping[str, Any]) -> Any:
    """A value of the wire as Python compares it."""
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else content


class _Reader:
    """Takes an expression apart, token by token."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self, expected: str = "") -> str:
        token = self.peek()
        if expected and token != expected:
            raise ValueError(f"expected {expected}, found {token or 'the end'}")
        self._at += 1
        return str(token)

    def either(self) -> Condition:
        sides = [self.both()]
        while self.peek() == "OR":
            self.take()
            sides.append(self.both())
        return sides[0] if len(sides) == 1 else lambda i, n, v: any(side(i, n, v) for side in sides)

    def both(self) -> Condition:
        sides = [self.one()]
        while self.peek() == "AND":
            self.take()
            sides.append(self.one())
        return sides[0] if len(sides) == 1 else lambda i, n, v: all(side(i, n, v) for side in sides)

    def one(self) -> Condition:
        token = self.peek()
        if token == "(":
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        if token == "NOT":
            self.take()
            denied = self.one()
            return lambda i, n, v: not denied(i, n, v)
        if not token.startswith("#"):
            return self._function(self.take())
        return self._comparison(self.take())

    def _function(self, function: str) -> Condition:
        self.take("(")
        name = self.take()
        if function in {"attribute_exists", "attribute_not_exists"}:
            self.take(")")
            wanted = function == "attribute_exists"
            return lambda i, n, v: (n[name] in i) is wanted
        if function != "begins_with":
            raise ValueError(f"this fake knows no {function}")
        self.take(",")
        start = self.take()
        self.take(")")
        return lambda i, n, v: n[name] in i and plain(i[n[name]]).startswith(plain(v[start]))

    def _comparison(self, name: str) -> Condition:
        sign = self.take()
        if sign == "BETWEEN":
            low = self.take()
            self.take("AND")
            high = self.take()
            return lambda i, n, v: n[name] in i and plain(v[low]) <= plain(i[n[name]]) <= plain(v[high])
        if sign == "IN":
            self.take("(")
            choices = [self.take()]
            while self.peek() == ",":
                self.take()
                choices.append(self.take())
            self.take(")")
            return lambda i, n, v: n[name] in i and i[n[name]] in [v[choice] for choice in choices]
        compare, value = _COMPARISONS[sign], self.take()
        return lambda i, n, v: n[name] in i and compare(plain(i[n[name]]), plain(v[value]))


@lru_cache(maxsize=4096)
def condition(text: str) -> Condition:
    """A condition expression. An attribute that is not there satisfies no comparison."""
    reader = _Reader(text)
    compiled = reader.either()
    if reader.peek():
        raise ValueError(f"{text!r}: {reader.peek()} is too much")
    return compiled


@lru_cache(maxsize=4096)
def update(text: str) -> Update:
    """An update expression: SET of values, ADD of numbers, REMOVE."""
    reader = _Reader(text)
    steps: list[tuple[str, str, str]] = []
    while reader.peek():
        clause = reader.take()
        while True:
            name = reader.take()
            if clause == "SET":
                reader.take("=")
            steps.append((clause, name, "" if clause == "REMOVE" else reader.take()))
            if reader.peek() != ",":
                break
            reader.take()

    def run(item: Item, names: Names, values: Values) -> None:
        for clause, name, value in steps:
            if clause == "SET":
                item[names[name]] = values[value]
            elif clause == "REMOVE":
                item.pop(names[name], None)
            else:
                before = int(item[names[name]]["N"]) if names[name] in item else 0
                item[names[name]] = {"N": str(before + int(values[value]["N"]))}

    return run
