"""Labels of an enum that the database does not have."""

from tests.remedies.row import Box, Meant, Models, Row

MOODS = """
class Order(Partitioned, Base):
    __tablename__ = "orders"
    __partition__ = PartitionByList("mood", values=["happy", "glad"])
    mood: Mapped[str] = mapped_column(sa.Enum("happy", "glad", name="mood"), primary_key=True)
"""
MADE = ("CREATE TYPE mood AS ENUM ('happy', 'glad')", Box.create)
BACK = "ALTER TYPE mood RENAME VALUE 'merry' TO 'happy'"
NEW = "alembic revision --autogenerate"

ENUM_LABELS = (
    Row(
        "enum-label: the enum mood lacks 'happy', so no partition is made for it; it has 'merry', which the declaration "
        "does not name: perhaps the same, renamed -> if so, give the models the new label, or rename it back: "
        f"{BACK}; else {NEW} writes ALTER TYPE ... ADD VALUE",
        (BACK, Models(MOODS.replace("happy", "merry"))),
        MOODS,
        (*MADE, "ALTER TYPE mood RENAME VALUE 'happy' TO 'merry'"),
    ),
    Row(
        f"enum-label: the enum mood lacks 'calm', so no partition is made for it -> {NEW} writes ALTER TYPE ... "
        "ADD VALUE",
        ((NEW, Meant("alembic upgrade head")),),
        MOODS,
        (*MADE, Models(MOODS.replace('"glad"', '"glad", "calm"'))),
    ),
)
