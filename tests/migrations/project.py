"""A real Alembic project in a folder: made by ``alembic init``, driven by Alembic's own commands."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from sa_partman import Converter

MODELS = """
from __future__ import annotations
import enum
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Index, Integer, MetaData, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sa_partman import *

metadata = MetaData()

class Base(DeclarativeBase):
    metadata = metadata

"""

EVENTS = """
class Event(Partitioned, Base):
    __tablename__ = "events"
    __partition__ = PartitionByRange("created_at", interval="1 month", premake=2)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
"""

COUNTRIES = """
class Order(Partitioned, Base):
    __tablename__ = "orders"
    __partition__ = PartitionByList("country", values={"eu": ["de", "fr"], "us": ["us"]})
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True)
    country: Mapped[str] = mapped_column(primary_key=True)
"""

ONE_LINE = "import alembic_ext.autogenerate  # noqa: F401"


@lru_cache(maxsize=2)
def connecting(url: str) -> Engine:
    """One for all commands of a project: statements are compiled once, and the server is asked once what it is."""
    return create_engine(url, poolclass=NullPool)


def configured(section: Mapping[str, str], **options: object) -> Engine:
    """In the place of ``engine_from_config()`` in env.py."""
    del options
    return connecting(section["sqlalchemy.url"])


@dataclass
class Project:
    """
    Args:
        folder: Empty at first.
        url: Of a database of its own.
    """

    folder: Path
    url: str
    line: str = ONE_LINE
    configure: str = ""
    prelude: str = ""
    template: str = "generic"

    def __post_init__(self) -> None:
        self.output = io.StringIO()
        self.config = Config(str(self.folder / "alembic.ini"), stdout=io.StringIO(), output_buffer=self.output)
        command.init(self.config, str(self.folder / "migrations"), template=self.template)
        self.config = Config(str(self.folder / "alembic.ini"), stdout=io.StringIO(), output_buffer=self.output)
        self.config.set_main_option("sqlalchemy.url", self.url.replace("%", "%%"))
        self.config.set_main_option("script_location", str(self.folder / "migrations"))
        env = self.folder / "migrations" / "env.py"
        source = env.read_text()
        source = source.replace("    fileConfig(config.config_file_name)", "    pass")
        if self.template == "generic":
            source = source.replace("from sqlalchemy import engine_from_config", f"from {__name__} import configured")
            source = source.replace("engine_from_config(", "configured(")
        source = source.replace(
            "target_metadata = None",
            f"{self.line}\nimport runpy\n_models = runpy.run_path({str(self.models_file)!r})\n"
            f"target_metadata = _models['metadata']\n{dedent(self.prelude)}",
        )
        if self.configure:
            source = source.replace(
                "target_metadata=target_metadata", f"target_metadata=target_metadata, {self.configure}"
            )
        env.write_text(source)
        self.models("")

    @property
    def models_file(self) -> Path:
        return self.folder / "models.py"

    @property
    def engine(self) -> Engine:
        return connecting(self.url)

    def models(self, body: str) -> None:
        self.models_file.write_text(MODELS + dedent(body))

    def metadata(self) -> Any:
        import runpy

        return runpy.run_path(str(self.models_file))["metadata"]

    def revision(self, message: str = "change") -> str:
        """``alembic revision --autogenerate``: the text of the file that it wrote."""
        script = command.revision(self.config, message=message, autogenerate=True)
        assert script is not None
        assert not isinstance(script, list)
        return Path(script.path).read_text()

    def written(self, upgrade: str, downgrade: str = "pass", imports: str = "") -> None:
        """A revision by hand."""
        script = command.revision(self.config, message="by hand")
        assert script is not None
        assert not isinstance(script, list)
        path = Path(script.path)
        head, _, _ = path.read_text().partition("def upgrade()")
        bodies = "\n\n".join(
            f"def {name}() -> None:\n" + "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
            for name, body in (("upgrade", upgrade), ("downgrade", downgrade))
        )
        path.write_text(
            f"{head.replace('import sqlalchemy as sa', f'import sqlalchemy as sa{chr(10)}{imports}')}{bodies}"
        )

    def upgrade(self, revision: str = "head") -> None:
        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "base") -> None:
        command.downgrade(self.config, revision)

    def sql(self, revision: str = "head") -> str:
        """``alembic upgrade --sql``."""
        self.output.seek(0)
        self.output.truncate()
        command.upgrade(self.config, revision, sql=True)
        return self.output.getvalue()

    def check(self) -> None:
        """``alembic check``: raises when there is anything to do."""
        command.check(self.config)

    def forget(self) -> None:
        """Revisions written so far are thrown away, and the database is taken as it is."""
        shutil.rmtree(self.folder / "migrations" / "versions")
        (self.folder / "migrations" / "versions").mkdir()
        self.execute("DROP TABLE IF EXISTS alembic_version")

    def migrate(self, models: str) -> str:
        """New models, a revision, upgraded to; then nothing is left to do."""
        self.models(models)
        written = self.revision()
        self.upgrade()
        self.check()
        return written

    def execute(self, sql: str, **parameters: Any) -> None:
        engine = self.engine
        with engine.begin() as connection:
            connection.execute(text(sql), parameters)
        engine.dispose()

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        engine = self.engine
        with engine.connect() as connection:
            found = connection.execute(text(sql), parameters).all()
        engine.dispose()
        return [row[0] if len(row) == 1 else tuple(row) for row in found]

    def partitions(self, parent: str) -> dict[str, str]:
        """Names and bounds of the partitions of *parent*, of one level, in the order of their names."""
        sql = """
            SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(:parent) ORDER BY 1
        """
        return dict(self.rows(sql, parent=parent))

    def exists(self, table: str) -> bool:
        return self.rows("SELECT to_regclass(:table) IS NOT NULL", table=table) == [True]

    def scalar(self, sql: str, **parameters: Any) -> Any:
        return self.rows(sql, **parameters)[0]

    def configured(self, arguments: str) -> None:
        """Further arguments of ``context.configure()``."""
        env = self.folder / "migrations" / "env.py"
        source = env.read_text()
        env.write_text(
            source.replace("target_metadata=target_metadata", f"target_metadata=target_metadata, {arguments}")
        )

    def convert(self, table: str) -> None:
        """``sa-partman convert``."""
        engine = self.engine
        Converter(engine, self.metadata()).convert(table)
        engine.dispose()


def body(written: str, function: str = "upgrade") -> str:
    """What *function* of a migration file does, without Alembic's comments."""
    after = written.partition(f"def {function}() -> None:")[2] or written.partition(f"def {function}():")[2]
    lines = after.partition("\ndef ")[0].splitlines()
    kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith(("#", '"""'))]
    return "\n".join(kept)
