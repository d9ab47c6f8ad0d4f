"""One line of the result, and what measures several of them at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .contest import Contestant

Row = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """Rows of one contest: `measure`, called with the number of turns, gives those of `names`.

    Fewer where something is missing on this machine, which it prints.
    """

    names: tuple[str, ...]
    measure: Callable[[int], list[Row]]


def row(name: str, ours: Contestant, peer: Contestant, peer_name: str, note: str) -> Row:
    """One line of the result."""
    spread = "; ".join(
        f"{label} min {c.best:.3g} s, median {c.median:.3g} s of {len(c.times)}"
        for label, c in (("ours", ours), (peer_name, peer))
    )
    busy = [c for c in (ours, peer) if len(c.cores) == 1 and sum(c.processor) < 0.8 * sum(c.walls)]
    return {
        "name": name,
        "ours": ours.best,
        "peer": peer.best,
        "peer_name": peer_name,
        "ratio": peer.best / ours.best,
        "limit": None,
        "note": f"{note}; {spread}" + ("; the machine was busy" if busy else ""),
    }
