"""Mappings inside a declaration, which is immutable and hashes."""

from __future__ import annotations

from typing import Any


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError("a declaration is immutable; make a new one: declaration.with_(...)")


class FrozenMapping(dict[Any, Any]):
    """Prints as a plain dict, compares as one, and can't be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    # copy and pickle would fill an empty one item by item.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse
