"""Verifiers that compare an answer with the right one, or look at its form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from .. import _arrays
from ..errors import ArgumentError, DomainError
from .base import Verdict, Verifier, field
from .numbers import number_at, parse_number

__all__ = ["ExactMatch", "FormatMatch", "MultipleChoice", "NumericMatch", "ThinkFormat"]

_LONGEST = 100_000
_UNSCORABLE = Verdict(None, "unscorable")
_TOO_LONG = Verdict(0.0, "too long")
_NO_ANSWER = Verdict(0.0, "no answer")


def _match(correct: bool) -> Verdict:
    return Verdict(1.0, "correct") if correct else Verdict(0.0, "wrong")


class NumericMatch(Verifier):
    r"""1 if the number that a completion ends on is the right one, else 0.

    A right answer that is not one number makes a row unscorable: its reward is None.

    Parameters
    ----------
    rule
        Where the answer stands. "marker": the first number behind the first ``####``, on its line
        (GSM8K: Cobbe et al., arXiv:2110.14168). "boxed": the only number in the last
        ``\boxed{}``. "last": the last number of all. "auto": the first of these that the text
        has a place for; a marker without a number is no answer.
    tolerance, relative
        |answer - right| <= max(tolerance, relative |right|); both 0: equal as exact fractions.
    column
        Holds the right answer: a number, or a text in which the rule "auto" finds one.
    """

    def __init__(
        self,
        rule: str = "auto",
        *,
        tolerance: float = 0.0,
        relative: float = 0.0,
        column: str = "answer",
    ) -> None:
        if rule not in ("auto", "marker", "boxed", "last"):
            raise DomainError(f"rule: expected auto, marker, boxed or last, got {rule!r}")
        self.rule, self.column = rule, column
        self.tolerance = Fraction(_at_least_0("tolerance", tolerance))
        self.relative = Fraction(_at_least_0("relative", relative))

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        right = _right_number(field(fields, self.column))
        if right is None:
            return _UNSCORABLE
        if len(completion) > _LONGEST:
            return _TOO_LONG
        answer = _number_by(self.rule, completion)
        if answer is None:
            return _NO_ANSWER
        return _match(abs(answer - right) <= max(self.tolerance, self.relative * abs(right)))


def _at_least_0(name: str, value: float) -> float:
    number = _arrays.scalar(name, value)
    if number < 0:
        raise DomainError(f"{name}: expected at least 0, got {value!r}")
    return number


def _right_number(value: Any) -> Fraction | None:
    if isinstance(value, str):
        return _number_by("auto", value) if "####" in value else parse_number(value)
    try:
        return Fraction(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _number_by(rule: str, text: str) -> Fraction | None:
    if rule == "marker" or (rule == "auto" and "####" in text):
        line = text.partition("####")[2].lstrip(" \t").partition("\n")[0]
        return number_at(line, 0)
    if rule == "boxed" or (rule == "auto" and "\\boxed{" in text):
        return parse_number(_boxed(text))
    return number_at(text, -1)


def _boxed(text: str) -> str:
    """What stands in the last box, up to the brace that closes it; nothing if none does."""
    _, box, rest = text.rpartition("\\boxed{")
    depth = 1
    for index, character in enumerate(rest if box else ""):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[:index]
    return ""


class ExactMatch(Verifier):
    """1 if a completion is the right text, else 0.

    Both are brought to Unicode form C, white space at the ends is removed and inside made one
    space. Rows whose right text is not a text, or blank, are unscorable.

    Parameters
    ----------
    ignore_case
        Compares casefolded.
    marker
        The answer is what stands behind its last occurrence, on that line; without it there is
        no answer.
    column
        Holds the right text, or a list of right texts.
    """

    def __init__(
        self, *, ignore_case: bool = False, marker: str | None = None, column: str = "answer"
    ) -> None:
        if marker == "":
            raise ArgumentError("marker: expected a text that is not empty, or None")
        self.ignore_case, self.marker, self.column = ignore_case, marker, column

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        right = field(fields, self.column)
        accepted = [right] if isinstance(right, str) else right
        if not isinstance(accepted, Sequence) or not all(isinstance(one, str) for one in accepted):
            return _UNSCORABLE
        wanted = {self._normal(one) for one in accepted} - {""}
        if not wanted:
            return _UNSCORABLE
        if len(completion) > _LONGEST:
            return _TOO_LONG
        if self.marker is not None:
            _, found, completion = completion.rpartition(self.marker)
            if not found:
                return _NO_ANSWER
            completion = completion.lstrip(" \t").partition("\n")[0]
        return _match(self._normal(completion) in wanted)

    def _normal(self, text: str) -> str:
        text = " ".join(unicodedata.normalize("NFC", text).split())
        return text.casefold() if self.ignore_case else text


class MultipleChoice(Verifier):
    """1 if a completion picks the right letter, else 0.

    The letter is a capital (a lone small one counts if it is all there is) and is looked for as
    the whole text (``B``, ``(b)``, ``B.``); else behind the last ``answer is`` or ``answer:``;
    else as the last letter in round brackets. "The answer is a dog" picks nothing.

    Parameters
    ----------
    options
        How many letters there are, 2 to 26.
    column
        Holds the right letter, or its index from 0.
    """

    def __init__(self, options: int = 4, *, column: str = "answer") -> None:
        self.column = column
        self.letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: _arrays.integer("options", options, 2, 26)]
        one = f"[{self.letters}]"
        self._whole = re.compile(rf"\(?({one}|{one.lower()})[).:]{{0,2}}")
        self._named = re.compile(
            rf"(?i:answer(?:\s+is|\s*:))\s*:?\s*\*{{0,2}}\(?({one})\b", re.ASCII
        )
        self._bracketed = re.compile(rf"\(({one})\)")

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        right = field(fields, self.column)
        if isinstance(right, str) and right.strip().strip("().").upper() in list(self.letters):
            letter = right.strip().strip("().").upper()
        elif hasattr(right, "__index__") and 0 <= right.__index__() < len(self.letters):
            letter = self.letters[right.__index__()]
        else:
            return _UNSCORABLE
        if len(completion) > _LONGEST:
            return _TOO_LONG
        picked = self._picked(completion)
        return _match(picked == letter) if picked else _NO_ANSWER

    def _picked(self, text: str) -> str | None:
        whole = self._whole.fullmatch(text.strip())
        if whole:
            return whole[1].upper()
        found = self._named.findall(text) or self._bracketed.findall(text)
        return str(found[-1]) if found else None


class FormatMatch(Verifier):
    """1 if a completion has a form, else 0.

    Parameters
    ----------
    pattern
        A regular expression; ``.`` does not match a line end unless it says ``(?s)``. Python's
        engine backtracks: with nested repetition a hostile completion can take exponential time.
        Write possessively (``++``), or keep `max_characters` small.
    anywhere
        It may match a part; else it must match all.
    max_characters
        A longer completion earns 0 unread.
    """

    def __init__(
        self, pattern: str, *, anywhere: bool = False, max_characters: int = 10_000
    ) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ArgumentError(f"pattern: expected a regular expression ({error})") from error
        self._matches = self._pattern.search if anywhere else self._pattern.fullmatch
        self.max_characters = _arrays.integer("max_characters", max_characters, 0, 2**31)

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        if len(completion) > self.max_characters:
            return _TOO_LONG
        return _match(self._matches(completion) is not None)


class ThinkFormat(Verifier):
    """1 if a completion is ``<think>`` ... ``</think>`` and then an answer that is not blank."""

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        start, end = "<think>", "</think>"
        once = completion.count(start) == 1 and completion.count(end) == 1
        return _match(
            once and completion.startswith(start) and bool(completion.partition(end)[2].strip())
        )
