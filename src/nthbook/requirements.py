"""What a chapter's parameters have to fulfil: conditions written in its header, told in a sentence.

A condition is an expression of Python over the parameters. It may compare and count, and do
nothing else: a header is data, and reading a book runs none of its code.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FUNCTIONS = {f.__name__: f for f in (abs, all, any, len, max, min, set, sorted, sum)}

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.unaryop, ast.Compare, ast.cmpop,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
    ast.Name, ast.expr_context, ast.Constant, ast.List, ast.Tuple, ast.Subscript, ast.Slice,
    ast.Call, ast.GeneratorExp, ast.ListComp, ast.comprehension,
)  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """A condition on the parameters, and the sentence for those that do not fulfil it."""

    that: str
    sentence: str

    @property
    def names(self) -> list[str]:
        """The parameters in the condition, in the order of the alphabet."""
        return sorted(_free_names(ast.parse(self.that, mode="eval")))

    def problem(self, values: Mapping[str, Any]) -> str | None:
        """The sentence with the values that break the condition; None where it holds.

        >>> Requirement("seeds >= 2", "seeds must be at least 2").problem({"seeds": 1})
        'seeds must be at least 2, got seeds = 1'
        """
        # As global names: what a comprehension reads is looked up nowhere else.
        scope = {"__builtins__": {}, **FUNCTIONS, **values}
        try:
            holds = eval(compile(self.that, "nth.requires", "eval"), scope)
        except (ArithmeticError, IndexError, TypeError, ValueError) as error:
            return f"{self.that} cannot be told: {error}"
        got = ", ".join(f"{name} = {values[name]!r}" for name in self.names)
        return None if holds else f"{self.sentence}, got {got}"

    def assertion(self) -> str:
        """The condition as a line of a notebook that is run without the book.

        >>> print(Requirement("seeds >= 2", "seeds must be at least 2").assertion())
        assert seeds >= 2, "seeds must be at least 2"
        """
        sentence = self.sentence.replace("\\", r"\\").replace('"', r"\"")
        return f'assert {self.that}, "{sentence}"'


def read(entries: Any, parameters: Mapping[str, Any]) -> list[Requirement]:
    """Read ``nth.requires`` of a header.

    Raises:
        ValueError: for an entry that is not {that, else}, a condition that does more than
            compare and count, or a name that is no parameter.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError("nth.requires in the header must be a list of tables {that, else}")
    return [_requirement(entry, parameters) for entry in entries]


def _requirement(entry: Any, parameters: Mapping[str, Any]) -> Requirement:
    if not isinstance(entry, dict) or entry.keys() != {"that", "else"}:
        raise ValueError(f"nth.requires in the header must hold tables {{that, else}}, not {entry}")
    that, sentence = str(entry["that"]).strip(), str(entry["else"]).strip()
    try:
        tree = ast.parse(that, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"nth.requires: {that!r} is no expression") from error
    for node in ast.walk(tree):
        known = not isinstance(node, ast.Call) or getattr(node.func, "id", None) in FUNCTIONS
        if not isinstance(node, _ALLOWED) or not known:
            raise ValueError(
                f"nth.requires: {that!r} does more than compare and count; the functions are "
                f"{', '.join(sorted(FUNCTIONS))}"
            )
    names = _free_names(tree)
    if unknown := sorted(names - parameters.keys()):
        raise ValueError(f"nth.requires: {that!r} names no parameter {unknown[0]!r}")
    if not names:
        raise ValueError(f"nth.requires: {that!r} names no parameter")
    return Requirement(that, sentence)


def _free_names(tree: ast.AST) -> set[str]:
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - bound - FUNCTIONS.keys()
