r"""Numbers in text, read exactly.

A number is ASCII digits with an optional sign, thousands separators in groups of three, decimal
point, exponent, currency sign before or unit behind: ``-1,234.50``, ``$3``, ``5 km``, ``1e3``. Two
with a slash between are a fraction, a whole number before it makes it mixed (``1 1/2``), and
``\frac{1}{2}`` is one too. A percent sign is a unit: ``50%`` is 50. Not numbers: ``nan``, ``inf``,
digits of other scripts, digits inside a word (``x2``), ``1,23`` and ``1.2.3`` (who knows), a
division by zero, and what has more than 400 digits or an exponent beyond 400.
"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["find_numbers", "number_at", "parse_number"]

_MOST_DIGITS = 400
_CURRENCY = "$\u20ac\u00a3\u00a5"
_DECIMAL = r"(?:[0-9]++(?:,[0-9]++)*+(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+"
# Possessive throughout: time is linear in the text. A sign behind a digit or a bracket is an
# operator.
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)])[-+\u2212])?(?<![\w.])(?<![0-9][,/])[{_CURRENCY}]?"
    rf"(?:(?P<whole>[0-9]++)\s(?=[0-9]++/[0-9]))?+"
    rf"(?P<number>{_DECIMAL})(?:\s?/\s?(?P<below>{_DECIMAL}))?+"
    r"(?![0-9_]|[.,][0-9]|\s?/\s?[0-9])",
    re.ASCII,
)
_FRAC = re.compile(r"\\[dt]?frac\{([^{}]{1,99})\}\{([^{}]{1,99})\}")
_LATEX = re.compile(r"\\(?:[,!;: ]|left|right)|(?<=[0-9])\{,\}(?=[0-9])|\\(?=[$%])")
_SIGN_BEHIND_CURRENCY = re.compile(rf"([{_CURRENCY}])\s?([-+\u2212])(?=[0-9.])")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+", re.ASCII)


def find_numbers(text: str) -> list[Fraction | None]:
    """All numbers of a text in order; None for one that looks like a number but is unreadable."""
    return [_value(found) for found in _found(text)]


def parse_number(text: str) -> Fraction | None:
    """The only number of a text; None if there is none, or more than one."""
    found = _found(text)
    return _value(found[0]) if len(found) == 1 else None


def number_at(text: str, index: int) -> Fraction | None:
    """The number at a place among those of a text, 0 the first, -1 the last; None if unreadable."""
    found = _found(text)
    return _value(found[index]) if found else None


def _found(text: str) -> list[re.Match[str]]:
    if "\\" in text or "{,}" in text:
        text = _FRAC.sub(r" \1/\2 ", text)
        text = _LATEX.sub(lambda found: "," if found[0] == "{,}" else "", text)
    text = _SIGN_BEHIND_CURRENCY.sub(r"\2\1", text)
    return list(_NUMBER.finditer(text))


def _value(found: re.Match[str]) -> Fraction | None:
    parts = [_decimal(found[name] or default) for name, default in _PARTS]
    if any(part is None for part in parts):
        return None
    whole, number, below = (part for part in parts if part is not None)
    if below == 0:
        return None
    value = whole + number / below
    return -value if found["sign"] in ("-", "\u2212") else value


_PARTS = (("whole", "0"), ("number", ""), ("below", "1"))


def _decimal(text: str) -> Fraction | None:
    if len(text) > _MOST_DIGITS:
        return None
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > _MOST_DIGITS:
        return None
    whole = mantissa.partition(".")[0]
    if "," in whole and not _GROUPED.fullmatch(whole):
        return None
    return Fraction(text.replace(",", ""))
