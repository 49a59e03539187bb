"""The copier: a whole table is rewritten, plain or partitioned, into the other while the application works."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Unpack

from sqlalchemy import MetaData, Table

from sa_partman.compare.context import Context
from sa_partman.errors import DeclarationError
from sa_partman.maintenance.moving import About, Move, MoveOptions, Mover
from sa_partman.maintenance.working import in_our_words
from sa_partman.names import QualifiedName
from sa_partman.orm.registry import primary_key_of
from sa_partman.plan.conversion.request import Choices
from sa_partman.plan.rewrite.request import RewritePlan
from sa_partman.postgres.contents import tenants_of
from sa_partman.postgres.conversion.copying import plan_copy, plan_unpartition
from sa_partman.postgres.journal import Conversion
from sa_partman.postgres.relations import oid_of
from sa_partman.postgres.session import connected, pin
from sa_partman.postgres.view import CATALOG_LOCK_TIMEOUT


class Copier(Mover):
    """What `Converter` does with ``strategy="copy"``; the arguments are the same."""

    command = "sa-partman convert"
    refused = "can't be converted"

    @in_our_words
    def plan_copy(self, table: str, *, inbound: str = "refuse", unique: Mapping[str, str] | None = None) -> RewritePlan:
        """See `Converter.plan_copy`."""
        self._require_none_running(self._declared(table)[1].name)
        return self._planned(table, Choices(inbound, unique or {}))  # type: ignore[arg-type]

    @in_our_words
    def copy(
        self,
        table: str,
        *,
        inbound: str = "refuse",
        unique: Mapping[str, str] | None = None,
        **options: Unpack[MoveOptions],
    ) -> Conversion:
        """
        See `Converter.convert`.

        Raises:
            ConversionRefused: With every reason; nothing was changed.
        """
        _, declared = self._declared(table)
        about = About(declared.name, repr(declared.spec), self._oid(declared.name))
        choices = Choices(inbound, unique or {})  # type: ignore[arg-type]

        def planned() -> RewritePlan:
            self._require_none_running(declared.name)
            return self._planned(table, choices)

        return self._move(about, planned, Move(**options))

    @in_our_words
    def plan_unpartition(self, table: str) -> RewritePlan:
        """See `Converter.plan_unpartition`."""
        name, model = self._found(table)
        self._require_none_running(name)
        return self._made_plain(name, model)

    @in_our_words
    def unpartition(self, table: str, **options: Unpack[MoveOptions]) -> Conversion:
        """
        See `Converter.unpartition`.

        Raises:
            ConversionRefused: With every reason; nothing was changed.
        """
        name, model = self._found(table)

        def planned() -> RewritePlan:
            self._require_none_running(name)
            return self._made_plain(name, model)

        return self._move(About(name, "", self._oid(name)), planned, Move(**options))

    # -- inside --------------------------------------------------------------------------------------------------

    def _oid(self, name: QualifiedName) -> int:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return oid_of(connection, name) or 0

    def _planned(self, table: str, choices: Choices) -> RewritePlan:
        model, declared = self._declared(table)
        with connected(self.engine) as connection:
            tenants = tenants_of(connection, declared)
            session = pin(connection, CATALOG_LOCK_TIMEOUT)
            context = Context(session.now if self._now is None else self._now(), tenants)
            return plan_copy(connection, declared, partial(primary_key_of, model), context, choices)

    def _made_plain(self, name: QualifiedName, model: Table | None) -> RewritePlan:
        with connected(self.engine) as connection:
            pin(connection, CATALOG_LOCK_TIMEOUT)
            return plan_unpartition(connection, name, tuple if model is None else partial(primary_key_of, model))

    def _found(self, table: str) -> tuple[QualifiedName, Table | None]:
        """What is called *table*, and its model, which need not declare it as partitioned any more."""
        try:
            model, declared = self._declared(table)
        except DeclarationError:
            schema, _, last = table.rpartition(".")
            with connected(self.engine) as connection:
                default = pin(connection, CATALOG_LOCK_TIMEOUT).default_schema
                name = QualifiedName(schema or default, last)
                if oid_of(connection, name) is None:
                    raise
            every = (self.metadata,) if isinstance(self.metadata, MetaData) else tuple(self.metadata)
            models = (each for metadata in every for each in metadata.tables.values())
            same = (each for each in models if each.name == name.name and (each.schema or default) == name.schema)
            return name, next(same, None)
        return declared.name, model
