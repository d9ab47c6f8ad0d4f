"""What a row of each kind must hold: TRL's field names, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ..errors import DomainError

Row: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Any], Any]

ROLES = ("system", "user", "assistant", "tool")
FIRST_ROLES = {"prompt": ("system", "user"), "messages": ("system", "user")}


class Invalid(Exception):
    """A field does not hold what was expected; the message names both."""


def text(value: Any) -> str:
    """A text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise Invalid(f"expected a text, got {_shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"expected Unicode text, got a lone surrogate at {error.start}") from None
    return value


def text_or_conversation(value: Any) -> str | list[dict[str, str]]:
    """A text, or a list of messages with ``role`` and ``content``."""
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, (list, tuple)):
        raise Invalid(f"expected a text or a list of messages, got {_shown(value)}")
    return conversation(value)


def conversation(value: Any) -> list[dict[str, str]]:
    """A list of messages with ``role`` and ``content``, not empty."""
    if not isinstance(value, (list, tuple)) or not value:
        raise Invalid(f"expected a list of messages, got {_shown(value)}")
    return [_message(turn, index) for index, turn in enumerate(value)]


def _message(value: Any, index: int) -> dict[str, str]:
    if not isinstance(value, Mapping) or value.keys() != {"role", "content"}:
        raise Invalid(
            f"message {index}: expected exactly 'role' and 'content', got {_shown(value)}"
        )
    if value["role"] not in ROLES:
        raise Invalid(
            f"message {index}: role: expected one of {', '.join(ROLES)}, "
            f"got {_shown(value['role'])}"
        )
    try:
        return {"role": value["role"], "content": text(value["content"])}
    except Invalid as error:
        raise Invalid(f"message {index}: content: {error}") from None


def boolean(value: Any) -> bool:
    """``true`` or ``false``, or 1 or 0."""
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    raise Invalid(f"expected true or false, got {_shown(value)}")


def number(low: float, high: float) -> Check:
    """A finite number in [low, high]."""

    def check(value: Any) -> float:
        real = isinstance(value, (int, float)) and not isinstance(value, bool)
        if real and low <= value <= high and math.isfinite(value):
            return float(value)
        interval = f"in [{low:g}, {high:g}]" if high < math.inf else f"of at least {low:g}"
        raise Invalid(f"expected a finite number {interval}, got {_shown(value)}")

    return check


def texts(value: Any) -> list[str]:
    """A list of texts, not empty."""
    if not isinstance(value, (list, tuple)) or not value:
        raise Invalid(f"expected a list of texts, got {_shown(value)}")
    return [_item(index, text, one) for index, one in enumerate(value)]


def step_labels(value: Any) -> list[float]:
    """One number in [0, 1] for each step, NaN for a step that is ``null``: not labelled."""
    if not isinstance(value, (list, tuple)) or not value:
        raise Invalid(f"expected a list of labels, got {_shown(value)}")
    return [_item(index, _step_label, one) for index, one in enumerate(value)]


def _step_label(value: Any) -> float:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    return float(value) if isinstance(value, bool) else float(number(0, 1)(value))


def _item(index: int, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except Invalid as error:
        raise Invalid(f"item {index}: {error}") from None


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


KINDS: dict[str, dict[str, Check]] = {
    "preference": {
        "prompt": text_or_conversation,
        "chosen": text_or_conversation,
        "rejected": text_or_conversation,
    },
    "unpaired-preference": {
        "prompt": text_or_conversation,
        "completion": text_or_conversation,
        "label": boolean,
    },
    "stepwise": {"prompt": text, "completions": texts, "labels": step_labels},
    "prompt-completion": {"prompt": text_or_conversation, "completion": text_or_conversation},
    "prompt": {"prompt": text_or_conversation},
    "messages": {"messages": conversation},
    "text": {"text": text},
}
"""The required fields of each kind, in the order in which a kind is recognised by its fields."""

OPTIONAL: dict[str, dict[str, Check]] = {
    "preference": {
        "margin": number(0, math.inf),
        "soft_label": number(0, 1),
        "tie": boolean,
        "weight": number(0, math.inf),
    },
    "unpaired-preference": {"weight": number(0, math.inf)},
}


def mapping(row: Any) -> Row:
    """`row` if it is an object with named fields."""
    if not isinstance(row, Mapping):
        raise Invalid(f"expected an object with named fields, got {_shown(row)}")
    return row


def kind_of(row: Row) -> str:
    """The kind that the fields of a row belong to.

    A preference row may leave out its prompt where both conversations begin with it.
    """
    if "chosen" in row or "rejected" in row:
        return "preference"
    for kind, fields in KINDS.items():
        if fields.keys() <= row.keys():
            return kind
    raise Invalid(
        "expected the fields of one kind ("
        + "; ".join(", ".join(fields) for fields in KINDS.values())
        + f"), got {', '.join(map(str, row)) or 'none'}"
    )


def check_kind(kind: str) -> str:
    """`kind` if there is such a kind."""
    if kind not in KINDS:
        raise DomainError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    return kind


def checked(row: Any, kind: str) -> dict[str, Any]:
    """A row with its fields checked; fields that the kind does not know are kept as they are."""
    row = _with_prompt(mapping(row)) if kind == "preference" else mapping(row)
    result: dict[str, Any] = {}
    for name, check in KINDS[kind].items():
        if name not in row:
            raise Invalid(f"{name}: missing; a row of kind {kind} has {', '.join(KINDS[kind])}")
        result[name] = _field(name, check, row[name])
    optional = OPTIONAL.get(kind, {})
    for name, value in row.items():
        if name in result or value is None:
            continue
        result[name] = _field(name, optional[name], value) if name in optional else value
    _CONSISTENT.get(kind, _same_form)(result)
    return result


def _field(name: str, check: Check, value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    try:
        return check(value)
    except Invalid as error:
        separator = " " if str(error).startswith(("message", "item")) else ": "
        raise Invalid(f"{name}{separator}{error}") from None


def _with_prompt(row: Row) -> Row:
    """Splits off the turns that both conversations begin with, where no prompt is given."""
    if "prompt" in row or not {"chosen", "rejected"} <= row.keys():
        return row
    chosen, rejected = (_field(name, conversation, row[name]) for name in ("chosen", "rejected"))
    shared = 0
    # The last turn of each is its completion, also where both are the same.
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if shared == 0:
        raise Invalid("prompt: missing, and chosen and rejected do not begin with the same turn")
    return {
        **row,
        "prompt": chosen[:shared],
        "chosen": chosen[shared:],
        "rejected": rejected[shared:],
    }


def _same_form(row: dict[str, Any]) -> None:
    """Prompt and completions are all plain, or all conversations that a user's turn opens."""
    names = [name for name in ("prompt", "completion", "chosen", "rejected") if name in row]
    forms = {isinstance(row[name], str) for name in names}
    if len(forms) > 1:
        raise Invalid(f"{', '.join(names)}: expected all plain texts or all conversations")
    for name, roles in FIRST_ROLES.items():
        turns = row.get(name)
        if isinstance(turns, list) and turns[0]["role"] not in roles:
            raise Invalid(
                f"{name} message 0: role: expected {' or '.join(roles)}, got {turns[0]['role']!r}"
            )
    for name in names[1:]:
        if isinstance(row[name], list) and row[name][-1]["role"] != "assistant":
            raise Invalid(f"{name}: expected the last message to be the assistant's")


def _preference(row: dict[str, Any]) -> None:
    _same_form(row)
    if row.get("tie") and row.get("soft_label", 0.5) != 0.5:
        raise Invalid(f"soft_label: expected 0.5 for a tie, got {row['soft_label']}")


def _stepwise(row: dict[str, Any]) -> None:
    steps, labels = len(row["completions"]), len(row["labels"])
    if steps != labels:
        raise Invalid(f"labels: expected {steps}, one for each of completions, got {labels}")


_CONSISTENT: dict[str, Callable[[dict[str, Any]], None]] = {
    "preference": _preference,
    "stepwise": _stepwise,
}
