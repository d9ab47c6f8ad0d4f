"""Pairwise verdicts: wins, losses and ties, what they prove, and how long the answers were.

A verdict file has a JSON object a line. Two forms are read: the rows of `judge.compare`, and those
of a table of several arms,

``{"category": ..., "verdicts": {"a_vs_b": "a" | "b" | "tie"}, "answer_a": ..., "answer_b": ...}``,

which is the form of the answers and verdicts published with arXiv:2605.04266.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, FormatError
from .data import Row, read
from .results import HEADER, read_results
from .statistics import Verdict, binomial_test, bootstrap, holm, paired_bootstrap, wilson

__all__ = ["compare", "count", "length_check", "read_verdicts", "table"]

#: The names of two arms.
Comparison = tuple[str, str]


def read_verdicts(path: str | os.PathLike[str]) -> dict[Comparison, list[Row]]:
    """The pairs of each comparison (first arm, second arm) of a verdict file.

    A row has ``verdict`` ("win", "loss", "tie" for the first arm, or "invalid"), ``category``, and
    where the file has the answers ``identical`` and ``words``, a pair of counts.
    """
    first_line = next(iter(read(path)), {})
    if HEADER in first_line:
        header, pairs = read_results(path)
        if header.get("kind") != "judge":
            raise FormatError(f"{path}: holds no verdicts but {header.get('kind')}")
        return {(header["first"], header["second"]): pairs}
    comparisons: dict[Comparison, list[Row]] = {}
    for number, row in enumerate(read(path), start=1):
        try:
            for name, winner in row["verdicts"].items():
                pair = _arms(name)
                comparisons.setdefault(pair, []).append(_pair(row, pair, winner))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise FormatError(f"{path}: row {number} holds no verdicts ({error!r})") from error
    if not comparisons:
        raise FormatError(f"{path}: holds no verdicts")
    return comparisons


def _arms(name: str) -> Comparison:
    first, between, second = name.partition("_vs_")
    if not (first and between and second):
        raise ValueError(f"expected a name like a_vs_b, got {name!r}")
    return first, second


def _pair(row: Mapping[str, Any], pair: Comparison, winner: str) -> Row:
    outcomes = {pair[0]: "win", pair[1]: "loss", "tie": "tie"}
    if winner not in outcomes:
        raise ValueError(f"expected one of {', '.join(outcomes)}, got {winner!r}")
    found: Row = {"verdict": outcomes[winner], "category": row.get("category", "")}
    answers = [row.get(f"answer_{arm}") for arm in pair]
    if all(isinstance(answer, str) for answer in answers):
        found["identical"] = answers[0] == answers[1]
        found["words"] = [len(str(answer).split()) for answer in answers]
    return found


def count(rows: Sequence[Row]) -> Verdict:
    """Wins, losses and ties of the first arm; invalid rows are not counted."""
    outcomes = [row["verdict"] for row in rows]
    return Verdict(*(outcomes.count(name) for name in ("win", "loss", "tie")))


def compare(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """Everything about one comparison.

    Returns
    -------
    ``wins``, ``losses``, ``ties``, ``win_share`` of decisive pairs with its Wilson interval,
    ``p_value`` (exact, two-sided, ties out); ``advantage``, the mean of +1, 0, -1 over all pairs
    with a bootstrap interval; ``invalid``; ``identical`` answers and how many of them were ties;
    ``categories``, the same counts for each with p-values adjusted by Holm's rule over the
    categories; ``length``, see `length_check`.
    """
    valid = [row for row in rows if row["verdict"] in ("win", "loss", "tie")]
    if not valid:
        raise ArgumentError("rows: expected at least one valid verdict")
    result = count(valid).to_dict()
    values = [{"win": 1.0, "tie": 0.0, "loss": -1.0}[row["verdict"]] for row in valid]
    result["advantage"] = bootstrap(values, seed=seed).to_dict()
    result["invalid"] = len(rows) - len(valid)
    same = [row for row in valid if row.get("identical")]
    if any("identical" in row for row in valid):
        result["identical"] = len(same)
        result["identical_ties"] = sum(row["verdict"] == "tie" for row in same)
    names = sorted({str(row.get("category", "")) for row in valid})
    parts = [count([r for r in valid if str(r.get("category", "")) == name]) for name in names]
    adjusted = holm([part.p_value for part in parts])
    result["categories"] = {
        name: {**part.to_dict(), "p_holm": p}
        for name, part, p in zip(names, parts, adjusted, strict=True)
    }
    measured = [row for row in valid if "words" in row]
    if measured:
        result["length"] = length_check(measured, seed=seed)
    return result


def length_check(rows: Sequence[Row], *, seed: int = 0) -> dict[str, Any]:
    """Whether the verdicts follow the length of the answers.

    Returns
    -------
    ``words``, mean and standard deviation of each arm; ``difference`` of the means, paired;
    ``longer_wins``, the share of decisive pairs of unequal length that the longer answer took, and
    ``longer_p_value`` of one half; ``balanced_share``, the first arm's share of decisive pairs
    averaged over pairs where it was longer and where it was shorter, which removes the effect.
    """
    words = np.array([row["words"] for row in rows], dtype=float)
    deviation = words.std(axis=0, ddof=1) if len(rows) > 1 else np.full(2, np.nan)
    result: dict[str, Any] = {
        "words": words.mean(axis=0).tolist(),
        "words_deviation": deviation.tolist(),
        "difference": paired_bootstrap(words[:, 0], words[:, 1], seed=seed).to_dict(),
    }
    longer, shorter = (
        count([row for row in rows if sign * (row["words"][0] - row["words"][1]) > 0])
        for sign in (1, -1)
    )
    took, decided = (
        longer.wins + shorter.losses,
        sum(one.wins + one.losses for one in (longer, shorter)),
    )
    result["longer_wins"] = wilson(took, decided).to_dict()
    result["longer_p_value"] = binomial_test(took, decided)
    if all(one.wins + one.losses for one in (longer, shorter)):
        result["balanced_share"] = (longer.win_share.estimate + shorter.win_share.estimate) / 2
    return result


def table(comparisons: Mapping[Comparison, Sequence[Row]], *, seed: int = 0) -> str:
    """The comparisons of a file as text, with p-values plain and adjusted for their number."""
    results = {pair: compare(rows, seed=seed) for pair, rows in comparisons.items()}
    adjusted = holm([one["p_value"] for one in results.values()])
    lines = []
    for (pair, one), p in zip(results.items(), adjusted, strict=True):
        lines += _lines(pair, one, p)
    return "\n".join(lines)


def _lines(pair: Comparison, one: Mapping[str, Any], adjusted: float) -> list[str]:
    first, second = pair
    share = one["win_share"]
    lines = [
        f"{first} against {second}: {one['wins']}-{one['losses']}, {one['ties']} ties, "
        f"p = {one['p_value']:.3g} (exact, two-sided, ties out), {adjusted:.3g} by Holm's rule"
    ]
    if share is not None:
        lines.append(
            f"  {first} takes {share['estimate']:.3f} [{share['low']:.3f}, {share['high']:.3f}] "
            "of the decisive pairs"
        )
    advantage = one["advantage"]
    lines.append(
        f"  advantage over all pairs {advantage['estimate']:+.3f} "
        f"[{advantage['low']:+.3f}, {advantage['high']:+.3f}]"
    )
    if one["invalid"]:
        lines.append(f"  {one['invalid']} verdicts invalid, not counted")
    if "identical" in one:
        lines.append(f"  {one['identical']} identical pairs, {one['identical_ties']} of them ties")
    for name, part in one["categories"].items():
        if len(one["categories"]) > 1:
            lines.append(
                f"  {name or '(no category)'}: {part['wins']}-{part['losses']}, {part['ties']} "
                f"ties, p = {part['p_value']:.3g}, {part['p_holm']:.3g} by Holm's rule"
            )
    if "length" in one:
        lines += _length_lines(pair, one["length"])
    return lines


def _length_lines(pair: Comparison, length: Mapping[str, Any]) -> list[str]:
    means, difference, longer = length["words"], length["difference"], length["longer_wins"]
    lines = [
        f"  words {means[0]:.1f} and {means[1]:.1f}, difference {difference['estimate']:+.2f} "
        f"[{difference['low']:+.2f}, {difference['high']:+.2f}]; the longer answer takes "
        f"{longer['estimate']:.3f} [{longer['low']:.3f}, {longer['high']:.3f}], "
        f"p = {length['longer_p_value']:.3g}"
    ]
    if "balanced_share" in length:
        lines.append(f"  {pair[0]}'s share at balanced length {length['balanced_share']:.3f}")
    return lines
