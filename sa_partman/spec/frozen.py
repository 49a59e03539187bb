"""Mappings inside a declaration, which is immutable and hashes."""

from __future__ import annotations

from typing import Any


class FrozenMapping(dict[Any, Any]):
    """Prints as a plain dict, compares as one, and can't be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    # copy and pickle would fill an empty one item by item.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def _immutable(self, *_: object, **__: object) -> Any:
        raise TypeError("a declaration is immutable; make a new one")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _immutable
