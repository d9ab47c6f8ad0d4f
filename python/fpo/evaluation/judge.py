"""The pairwise judge protocol: two answers, one question, both orders.

Each pair is judged twice with the answers exchanged. An answer wins if it wins in both orders;
any other pair of valid opinions is a tie (Zheng et al., arXiv:2306.05685). Equal answers are ties
and are not sent to the judge. A pair with a malformed or missing opinion is ``invalid`` and is
counted as such, never as a tie.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import ArgumentError
from .data import Row
from .results import ResultFile, digest
from .statistics import binomial_test, wilson

__all__ = ["OPINIONS", "Judge", "compare_answers", "position_bias"]

#: Which answer is better, in the order shown; or that the judge said nothing that can be read, or
#: nothing at all.
OPINIONS = ("first", "second", "tie", "malformed", "failed")


class Judge(Protocol):
    """Says which of two answers is better; it may be called from several threads."""

    name: str

    def __call__(self, question: str, first: str, second: str) -> str:
        """One of `OPINIONS`."""
        ...


def verdict(forward: str, reverse: str) -> str:
    """The verdict for the answer that `forward` showed first and `reverse` second."""
    if not {forward, reverse} <= {"first", "second", "tie"}:
        return "invalid"
    if (forward, reverse) == ("first", "second"):
        return "win"
    if (forward, reverse) == ("second", "first"):
        return "loss"
    return "tie"


def compare_answers(
    judge: Judge,
    first: Sequence[Row],
    second: Sequence[Row],
    *,
    names: tuple[str, str],
    path: str | os.PathLike[str] | None = None,
    workers: int = 1,
    progress: bool = False,
) -> list[Row]:
    """Judges the answers of two arms to the same questions.

    Parameters
    ----------
    first, second
        Rows of `generation.generate_answers`; questions that only one of them has are an error.
    names
        Of the arms.
    path
        Result file, as in `choice.evaluate`. Pairs that failed are judged again on resumption.
    workers
        Threads that call the judge.

    Returns
    -------
    For each question ``verdict`` of the first arm, ``forward`` and ``reverse`` opinions,
    ``identical``, ``words`` and ``category``; the input of `verdicts.compare`.
    """
    others = {row["id"]: row for row in second}
    if not first or {row["id"] for row in first} != others.keys():
        raise ArgumentError("second: expected answers to the questions of first, and at least one")
    if names[0] == names[1]:
        raise ArgumentError(f"names: expected two different ones, got {names[0]!r} twice")
    header = {"kind": "judge", "judge": judge.name, "first": names[0], "second": names[1]}
    file = ResultFile(path, header)
    pairs = [(row, others[row["id"]]) for row in first]

    def make(k: int) -> Row:
        a, b = pairs[k]
        if a["question"] != b["question"]:
            raise ArgumentError(f"second: {b['id']} is another question")
        texts = a["answer"], b["answer"]
        same = texts[0] == texts[1]
        opinions = (
            ("tie", "tie")
            if same
            else (judge(a["question"], *texts), judge(a["question"], *reversed(texts)))
        )
        unknown = set(opinions) - set(OPINIONS)
        if unknown:
            raise ArgumentError(f"judge: expected one of {', '.join(OPINIONS)}, got {unknown}")
        return {
            "category": a.get("category", ""),
            "asked": digest([a["question"], *texts]),
            "forward": opinions[0],
            "reverse": opinions[1],
            "verdict": verdict(*opinions),
            "failed": "failed" in opinions,
            "identical": same,
            "words": [len(text.split()) for text in texts],
        }

    identities = [row["id"] for row in first]
    rows = file.complete(identities, make, shown=progress, label=judge.name, workers=workers)
    for (a, b), row in zip(pairs, rows, strict=True):
        if row["asked"] != digest([a["question"], a["answer"], b["answer"]]):
            raise ArgumentError(f"{path}: {row['id']} was judged with other answers")
    return rows


def position_bias(rows: Sequence[Row]) -> dict[str, Any]:
    """How the order decides, over pairs of different answers with two valid opinions.

    Returns
    -------
    ``pairs``; ``consistent``, the share whose two opinions agree, with an interval; ``primacy`` and
    ``recency``, how often the answer shown first, or last, was preferred in both orders, and
    ``p_value`` of their being equally likely (exact, two-sided); ``malformed`` and ``failed``
    opinions.
    """
    different = [row for row in rows if not row["identical"]]
    opinions = [row[side] for row in different for side in ("forward", "reverse")]
    valid = [row for row in different if row["verdict"] != "invalid"]
    both = [(row["forward"], row["reverse"]) for row in valid]
    agreeing = {("first", "second"), ("second", "first"), ("tie", "tie")}
    primacy, recency = both.count(("first", "first")), both.count(("second", "second"))
    return {
        "pairs": len(valid),
        "consistent": wilson(sum(pair in agreeing for pair in both), len(both)).to_dict(),
        "primacy": primacy,
        "recency": recency,
        "p_value": binomial_test(primacy, primacy + recency),
        "malformed": opinions.count("malformed"),
        "failed": opinions.count("failed"),
    }
