"""Messages held to their structure: read without entities or external parts, then checked element by element.

A schema is a text of lines `Type = Child:Type Child? Child* Child+`, in the order that the standard wants. A child
without a type is known to the standard and not looked into; a name that is not listed is refused, so that a misspelt
element can't hide money. `text:` types are checked by `_TEXTS`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

FILE_BYTES_MAX = 8 * 1024 * 1024
ELEMENTS_MAX = 400_000
DEPTH_MAX = 32
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"

_TEXTS = {
    "Id": re.compile(r"\S(.{0,33}\S)?"),
    "Reference": re.compile(r"\S(.{0,138}\S)?"),
    "Words": re.compile(r".{1,500}", re.DOTALL),
    "Code": re.compile(r"[A-Z0-9]{1,4}", re.ASCII),
    "Number": re.compile(r"[0-9]{1,15}", re.ASCII),
    "Decimal": re.compile(r"[0-9]{1,18}(\.[0-9]{1,17})?", re.ASCII),
    "Amount": re.compile(r"[0-9]{1,13}(\.[0-9]{1,5})?", re.ASCII),
    "Currency": re.compile(r"[A-Z]{3}", re.ASCII),
    "Side": re.compile(r"CRDT|DBIT"),
    "Bool": re.compile(r"true|false|1|0"),
    "Moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII),
    "Date": re.compile(r"\d{4}-\d\d-\d\d(Z|[+-]\d\d:\d\d)?", re.ASCII),
    "Iban": re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}", re.ASCII),
    "Bic": re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII),
    "Name": re.compile(r".{1,140}", re.DOTALL),
}
_CHILD = re.compile(r"(\w+)(?::(\w+))?([?*+]?)")


class FileRefusedError(ValueError):
    """A file that is not what the standard says. The message begins with the element."""

    def __init__(self, element: str, reason: str) -> None:
        super().__init__(f"{element}: {reason}")
        self.element = element
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Child:
    """An element below another: its type (empty: not looked into), and how often it may stand there."""

    name: str
    kind: str
    least: int
    many: bool


Schema = Mapping[str, tuple[Child, ...]]


def read_schema(text: str) -> Schema:
    """A schema from its text."""
    found: dict[str, tuple[Child, ...]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, children = line.partition(" = ")
        parts = (_CHILD.fullmatch(word) for word in children.split())
        found[name] = tuple(
            Child(part[1], part[2] or "", int(part[3] in {"", "+"}), part[3] in {"*", "+"}) for part in parts if part
        )
    return found


class Node:
    """An element that was checked. Paths name it as a bank would look for it: Ntry[3]/Amt."""

    __slots__ = ("_element", "path")

    def __init__(self, element: Element, path: str) -> None:
        self._element = element
        self.path = path

    def __call__(self, path: str) -> str:
        """The text of what stands at a path below; empty where nothing does."""
        found = self._element
        for name in path.split("/"):
            below = next((child for child in found if _local(child) == name), None)
            if below is None:
                return ""
            found = below
        return (found.text or "").strip()

    @property
    def text(self) -> str:
        """Its own text."""
        return (self._element.text or "").strip()

    def attribute(self, path: str, name: str) -> str:
        """An attribute of what stands at a path below."""
        node = self.first(path)
        return node.named(name) if node else ""

    def named(self, name: str) -> str:
        """An attribute of its own."""
        return self._element.get(name, "")

    def first(self, path: str) -> "Node | None":
        """What stands at a path below."""
        node: Node | None = self
        for name in path.split("/"):
            node = next(node.each(name), None) if node else None
        return node

    def each(self, name: str) -> Iterator["Node"]:
        """Every child of a name, in order."""
        number = 0
        for child in self._element:
            if _local(child) == name:
                number += 1
                yield Node(child, f"{self.path}/{name}[{number}]")

    def refuse(self, path: str, reason: str) -> FileRefusedError:
        """The error that names something below."""
        return FileRefusedError(f"{self.path}/{path}" if path else self.path, reason)


@dataclass(frozen=True, slots=True)
class Message:
    """A file: which message it is, such as camt.053.001.08, and its content."""

    name: str
    body: Node


def read_message(content: bytes, schemas: Mapping[str, Schema]) -> Message:
    """Read a file and hold it to the schema of its message; `schemas` by the name's beginning, such as camt.053.

    Raises:   FileRefusedError, naming the element.
    """
    root = _parsed(content)
    space, _, local = root.tag.removeprefix("{").rpartition("}")
    name = space.removeprefix(NAMESPACE)
    schema = next((schema for begin, schema in schemas.items() if name.startswith(f"{begin}.001.")), None)
    if local != "Document" or not space.startswith(NAMESPACE):
        raise FileRefusedError(_shown(local), f"a file is a Document of {NAMESPACE}...")
    if schema is None:
        raise FileRefusedError("Document", f"{_shown(name)} is not read here; send {', '.join(schemas)}")
    _check(root, schema, "Document", "Document", space)
    child = next(iter(root))
    return Message(name, Node(child, f"Document/{_local(child)}"))


def _parsed(content: bytes) -> Element:
    if not content.strip():
        raise FileRefusedError("Document", "the file is empty")
    if len(content) > FILE_BYTES_MAX:
        raise FileRefusedError("Document", f"a file has at most {FILE_BYTES_MAX} bytes, this one {len(content)}")
    try:
        root: Element = fromstring(content, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise FileRefusedError(
            "Document", f"no DTD, entity or external part is taken: {type(error).__name__}"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise FileRefusedError("Document", f"this is no XML: {error}") from error
    _measure(root)
    return root


def _measure(root: Element) -> None:
    """Refuse what is deeper or longer than any message of a bank, before anything walks it."""
    count, level = 0, [root]
    for _ in range(DEPTH_MAX):
        count += len(level)
        if count > ELEMENTS_MAX:
            raise FileRefusedError("Document", f"a file has at most {ELEMENTS_MAX} elements")
        level = [child for element in level for child in element]
        if not level:
            return
    raise FileRefusedError(_shown(_local(level[0])), f"elements lie at most {DEPTH_MAX} deep")


def _check(element: Element, schema: Schema, kind: str, path: str, space: str) -> None:
    if kind == "Status" and not len(element):
        kind = "Code"  # The older versions say it without a child.
    if kind in _TEXTS:
        _check_text(element, kind, path)
        return
    if (element.text or "").strip():
        raise FileRefusedError(path, "text where elements are expected")
    wanted, at, count = schema[kind], 0, 0
    for child in element:
        name = _own_name(child, path, space)
        if wanted[at].name != name or not count:
            at, count = _place(wanted, at, count, name, path), 0
        count += 1
        if count > 1 and not wanted[at].many:
            raise FileRefusedError(f"{path}/{name}[{count}]", "stands here more than once")
        if wanted[at].kind:
            below = f"{path}/{name}[{count}]" if wanted[at].many else f"{path}/{name}"
            _check(child, schema, wanted[at].kind, below, space)
    missing = next((each.name for each in wanted[at + bool(count) :] if each.least), "")
    if missing:
        raise FileRefusedError(f"{path}/{missing}", "is missing")


def _own_name(child: Element, path: str, space: str) -> str:
    name = _local(child)
    if child.tag != f"{{{space}}}{name}":
        raise FileRefusedError(f"{path}/{_shown(name)}", "an element of another namespace")
    if (child.tail or "").strip():
        raise FileRefusedError(path, f"text behind {name}")
    return name


def _place(wanted: tuple[Child, ...], at: int, count: int, name: str, path: str) -> int:
    """Where a child of that name may stand, at or behind a place; what it leaves out must be optional."""
    for place in range(at + bool(count), len(wanted)):
        if wanted[place].name == name:
            return place
        if wanted[place].least:
            raise FileRefusedError(f"{path}/{wanted[place].name}", f"is missing, or stands behind {_shown(name)}")
    known = any(each.name == name for each in wanted)
    raise FileRefusedError(f"{path}/{_shown(name)}", "stands in a wrong place" if known else "no such element here")


def _check_text(element: Element, kind: str, path: str) -> None:
    text = (element.text or "").strip()
    if len(element):
        raise FileRefusedError(path, f"text expected, found {_shown(_local(element[0]))}")
    if not text:
        raise FileRefusedError(path, "is empty")
    if not _TEXTS[kind].fullmatch(text):
        raise FileRefusedError(path, f"{_shown(text)!r} is no {kind.lower()}")
    if kind == "Amount" and not _TEXTS["Currency"].fullmatch(element.get("Ccy", "")):
        raise FileRefusedError(path, "the attribute Ccy names no currency")
    if kind == "Iban" and not is_iban(text):
        raise FileRefusedError(path, f"the check digits of {text} are wrong")


def is_iban(text: str) -> bool:
    """Whether an IBAN's, or with its first four characters alike a creditor reference's, check digits are right."""
    turned = text[4:] + text[:4]
    return turned.isascii() and turned.isalnum() and int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def check_digits(country: str, rest: str) -> str:
    """The two digits that make country (or RF), digits and rest valid."""
    return f"{98 - int(''.join(str(int(letter, 36)) for letter in f'{rest}{country}00')) % 97:02d}"


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _shown(text: str) -> str:
    """What a file says, short enough for a log."""
    return text if len(text) <= 60 else f"{text[:60]}..."
