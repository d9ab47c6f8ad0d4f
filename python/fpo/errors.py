"""Errors: one class per status of ``fpo.h``, each also of the built-in kind it resembles.

``except fpo.FpoError`` catches everything that this package raises on purpose;
``except ValueError`` works where a Python programmer expects it to.
"""

from __future__ import annotations

__all__ = [
    "AbiError",
    "ArgumentError",
    "BusyError",
    "CancelledError",
    "ConvergenceError",
    "CpuError",
    "DTypeError",
    "DomainError",
    "FormatError",
    "FpoError",
    "InternalError",
    "LibraryNotFoundError",
    "MissingDependencyError",
    "NonFiniteError",
    "NullError",
    "OutOfMemoryError",
    "SandboxError",
    "ShapeError",
    "SingularError",
    "StateError",
    "error_of_status",
]


class FpoError(Exception):
    """The root of all errors of this package; `status` is the code of ``fpo.h``, 0 for ours."""

    status: int = 0


class ArgumentError(FpoError, ValueError):
    """An argument is wrong; the message names it and says what was expected."""


class NullError(ArgumentError):
    """A pointer is NULL where none may be."""

    status = 1


class DomainError(ArgumentError):
    """A number is outside its domain, or a name is unknown."""

    status = 2


class ShapeError(ArgumentError):
    """Sizes disagree."""

    status = 3


class NonFiniteError(ArgumentError):
    """An input holds a NaN or an infinity."""

    status = 4


class DTypeError(FpoError, TypeError):
    """An argument is of a kind that cannot be read as real numbers."""


class OutOfMemoryError(FpoError, MemoryError):
    """An allocation failed, or would be absurdly large."""

    status = 5


class AbiError(FpoError, RuntimeError):
    """The library that was found does not belong to this package."""

    status = 6


class FormatError(FpoError, ValueError):
    """Saved bytes, or a saved file, do not belong to this object."""

    status = 7


class CancelledError(FpoError, RuntimeError):
    """A simulation was cancelled; it remains usable."""

    status = 8


class BusyError(FpoError, RuntimeError):
    """Another thread is inside this handle."""

    status = 9


class SingularError(FpoError, ArithmeticError):
    """A matrix is not positive definite."""

    status = 10


class ConvergenceError(FpoError, ArithmeticError):
    """An iteration ended before its tolerance."""

    status = 11


class CpuError(FpoError, RuntimeError):
    """This processor lacks x86-64-v3 (AVX2 and FMA)."""

    status = 12


class StateError(FpoError, RuntimeError):
    """Calls out of order: the object is not ready for this one."""

    status = 13


class InternalError(FpoError, RuntimeError):
    """A fault of the library itself."""

    status = 99


class LibraryNotFoundError(FpoError, ImportError):
    """``libfpo.so`` is in none of the places where it is looked for."""


class SandboxError(FpoError, RuntimeError):
    """A program was not run, since it could not be confined."""


class MissingDependencyError(FpoError, ImportError):
    """An optional package is needed for this; the message says how to install it."""


_BY_STATUS: dict[int, type[FpoError]] = {
    kind.status: kind
    for kind in (
        NullError,
        DomainError,
        ShapeError,
        NonFiniteError,
        OutOfMemoryError,
        AbiError,
        FormatError,
        CancelledError,
        BusyError,
        SingularError,
        ConvergenceError,
        CpuError,
        StateError,
        InternalError,
    )
}


def error_of_status(status: int) -> type[FpoError]:
    """The class of a status code; `FpoError` itself for one that this version does not know."""
    return _BY_STATUS.get(status, FpoError)
