"""YAML and JSON documents: read without executing anything, with the line of every key, and written readably."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tokens import (
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
)

from retrograd.base.errors import ConfigError, Problem, RetrogradError, UsageError, near_file
from retrograd.base.full_width import Odd, odd_characters

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 2**20
MAX_DEPTH = 50
MAX_NODES = 50_000
MAX_CHARACTERS = 2**23  # after aliases are expanded: a file may refer to one long text a thousand times
MAX_DIGITS = 400  # more digits than any setting can hold
LOOKALIKE = re.compile(
    r"^[“”„‘’「［｛【]|^[-+.０-９．－＋]*[０-９][０-９．]*$"
)  # full-width quotes, brackets and digits
END = "'<stream end>'"
KINDS: dict[type, str] = {list: "a list", str: "a text"}
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}


@dataclass(frozen=True)
class Document:
    """Plain values, their source, and the line of each dotted path in the file.

    `changed` lists the paths whose values came from the command line instead.
    """

    values: dict[str, Any]
    source: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    odd: Mapping[int, Odd] = field(default_factory=dict)  # by line: characters that look like others

    def place(self, where: str) -> str:
        """Return `file:line: where` for a dotted path; a path without a line takes that of its nearest parent."""
        if not self.source:
            return where
        path = re.split(r": | \(", where)[0]
        while path and path not in self.lines and path not in self.changed:
            path = path.rpartition(".")[0]
        if path in self.changed:
            return f"--set {where}"
        line = self.lines.get(path)
        place = f"{self.source}:{line}" if line else self.source
        return f"{place}: {where}" if where else place

    def located(self, error: RetrogradError) -> RetrogradError:
        """Return the error with file and line in front of each problem."""
        return type(error)([self._hinted(p._replace(where=self.place(p.where))) for p in error.problems])

    def _hinted(self, problem: Problem) -> Problem:
        """Add a look-alike character in the same line, the likely cause, to the cure of a problem."""
        line = re.match(rf"{re.escape(self.source)}:(\d+)", problem.where)
        odd = self.odd.get(int(line[1])) if line and self.source else None
        if odd is None:
            return problem
        return problem._replace(cure=problem.cure + f"; {odd}" if problem.cure else str(odd))


def is_document(path: Path) -> bool:
    """Return whether a file has the extension of a configuration."""
    return path.suffix.lower() in SUFFIXES


def read_document(path: Path) -> Document:
    """Read the document in a YAML or JSON file.

    Raises:  UsageError if the file cannot be read; ConfigError with line and column if it is not well formed
    """
    if not path.exists():
        raise UsageError("not found", where=str(path), cure=near_file(path))
    if not path.is_file():
        raise UsageError("not a regular file", where=str(path))
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes, too large for a configuration", where=str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start}", where=str(path), cure="save it as UTF-8") from None
    return parse_document(text, str(path))


def parse_document(text: str, source: str = "") -> Document:
    """Parse a document from YAML or JSON text."""
    odd = odd_characters(text)
    try:
        _check_events(text, source)
        values = _yaml().load(text)
        root = _yaml().compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, text, source, odd) from None
    except ConfigError:
        raise
    except ReaderError as error:  # a character that YAML does not allow
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise ConfigError(
            message, where=f"{source}:{line}:{column}", cure="delete it, or save the file as UTF-8 text"
        ) from None
    except (YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(f"cannot be read: {error}", where=source) from None
    if not isinstance(values, dict):
        cure = str(next(iter(odd.values()), ""))
        if values is None:
            raise ConfigError(
                "the file is empty", where=source, cure=cure or "expected settings such as data, network, loss"
            )
        found = KINDS.get(type(values), "one value")
        raise ConfigError(f"expected settings such as data, network, loss; found {found}", where=source, cure=cure)
    _refuse_quotes(root, source, odd)
    return Document(values, source, dict(_lines(root, "")), odd=odd)


def parse_value(text: str, where: str = "") -> Any:
    """Parse a YAML scalar or flow collection into a plain value, as in `--set key=value`."""
    try:
        return parse_document(f"value: {text}\n", "").values["value"]
    except ConfigError as error:
        if not where:
            raise
        raise ConfigError([problem._replace(where=where) for problem in error.problems]) from None


def write_document(values: Mapping[str, Any]) -> str:
    """Return block-style YAML; lists of numbers and mappings of at most two values stay on one line."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    yaml.allow_unicode = True
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    yaml.representer.add_representer(float, _write_float)
    stream = io.StringIO()
    yaml.dump(_styled(values, yaml), stream)
    return stream.getvalue()


def _write_float(representer: Any, value: float) -> Any:
    """Write 1e-08 as 1.0e-08: YAML 1.1 parsers read it as a string without the point."""
    node = representer.represent_float(value)
    mantissa, e, exponent = node.value.partition("e")
    if e and "." not in mantissa:
        node.value = f"{mantissa}.0e{exponent}"
    return node


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _check_events(text: str, source: str) -> None:
    """Refuse tags, deep nesting, endless numbers and alias bombs before any object is built."""
    depth = nodes = characters = 0
    sizes: dict[str, tuple[int, int]] = {}  # nodes and characters of each anchor's value
    open_at: list[tuple[str | None, int, int]] = []
    for event in _yaml().parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            if event.anchor in (name for name, *_ in open_at):
                cure = "write out the value instead"
                raise ConfigError(
                    f"*{event.anchor} refers to the value that contains it", where=f"{source}:{line}", cure=cure
                )
            size = sizes.get(event.anchor, (1, 0))
            nodes, characters = nodes + size[0], characters + size[1]
        elif isinstance(event, NodeEvent):
            nodes += 1
            _check_value(event, f"{source}:{line}")
        if isinstance(event, ScalarEvent):
            characters += len(event.value)
            sizes[event.anchor] = (1, len(event.value))  # harmless without an anchor: nothing can refer to it
        if isinstance(event, CollectionStartEvent):
            depth += 1
            open_at.append((event.anchor, nodes, characters))
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
            anchor, first_node, first_character = open_at.pop()
            if anchor:
                sizes[anchor] = (nodes - first_node + 1, characters - first_character)
        bounds = (
            (depth, MAX_DEPTH, f"nested too deep (more than {MAX_DEPTH} levels)"),
            (characters, MAX_CHARACTERS, f"more than {MAX_CHARACTERS:,} characters after its aliases are expanded"),
            (nodes, MAX_NODES, f"more than {MAX_NODES} values after its aliases are expanded"),
        )
        for message in (message for size, most, message in bounds if size > most):
            raise ConfigError(message, where=f"{source}:{line}")


def _check_value(event: NodeEvent, where: str) -> None:
    """Refuse tags, which may run code, and numbers so long that parsing them takes minutes."""
    tag = getattr(event, "tag", None)
    if tag and str(tag) not in PLAIN_TAGS:
        raise ConfigError(f"the tag {tag} is not allowed: reading never executes code", where=where)
    if isinstance(event, ScalarEvent) and re.fullmatch(rf"[-+]?[\d_]{{{MAX_DIGITS},}}", event.value):
        raise ConfigError(f"number too long ({len(event.value)} digits)", where=where)


def _refuse_quotes(node: Node | None, source: str, odd: Mapping[int, Odd]) -> None:
    """Refuse values written with look-alike quotes, brackets or digits."""
    if isinstance(node, MappingNode):
        for pair in node.value:
            for child in pair:
                _refuse_quotes(child, source, odd)
    elif isinstance(node, SequenceNode):
        for child in node.value:
            _refuse_quotes(child, source, odd)
    elif isinstance(node, ScalarNode) and node.style is None and LOOKALIKE.match(node.value):
        line = node.start_mark.line + 1
        if line in odd:
            where = f"{source}:{line}:{odd[line].column}"
            raise ConfigError(f"a value looks like {node.value[:20]!r}", where=where, cure=str(odd[line]))


def _syntax_error(error: MarkedYAMLError, text: str, source: str, odd: Mapping[int, Odd]) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = f"{source}:{_position(mark)}" if mark and source else _in_words(mark) if mark else source
    problem = str(error.problem or error.context or "not well formed")
    if "duplicate key" in problem:
        key = re.search(r'duplicate key "?([^"]*?)"? with', problem)
        return ConfigError(f"duplicate key '{key.group(1) if key else ''}'", where=place, cure="keep one of them")
    near = [number for number in odd if mark and number <= mark.line + 1]
    cure = str(odd[max(near)]) if near else ""
    if not cure and (opened := _open_bracket(text)):
        at = f" at {_in_words(opened)}" if source else ""
        cure = f"the bracket opened{at} may be unclosed"
    return ConfigError(
        f"not well-formed YAML: {problem.splitlines()[0].replace(END, 'the end')}", where=place, cure=cure
    )


def _open_bracket(text: str) -> Any:
    """Return the place of the innermost bracket that is never closed; None if there is none."""
    places: list[Any] = []
    with contextlib.suppress(YAMLError):
        for token in _yaml().scan(text):
            if isinstance(token, (FlowMappingStartToken, FlowSequenceStartToken)):
                places.append(token.start_mark)
            elif isinstance(token, (FlowMappingEndToken, FlowSequenceEndToken)) and places:
                places.pop()
    return places[-1] if places else None


def _position(mark: Any) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"


def _in_words(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _lines(node: Node | None, path: str) -> Iterator[tuple[str, int]]:
    """Yield the line of each dotted path."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, SequenceNode):
        for i, value in enumerate(node.value):
            yield f"{path}.{i}", value.start_mark.line + 1
            yield from _lines(value, f"{path}.{i}")


def _styled(value: Any, yaml: YAML) -> Any:
    if isinstance(value, Mapping):
        styled = yaml.map()
        for key, item in value.items():
            styled[key] = _styled(item, yaml)
        if all(not isinstance(item, (Mapping, list, tuple)) for item in value.values()) and len(value) <= 2:
            styled.fa.set_flow_style()
        return styled
    if isinstance(value, (list, tuple)):
        styled = yaml.seq(_styled(item, yaml) for item in value)
        if not any(isinstance(item, (Mapping, str)) for item in value):
            styled.fa.set_flow_style()
        return styled
    return value
