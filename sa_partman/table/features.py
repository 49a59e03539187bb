"""What a server can do, by its version: the one place that knows since when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class ServerFeatures:
    """
    Args:
        major: PostgreSQL's major version.
    """

    major: int

    @property
    def has_publication_details(self) -> bool:
        """Publications of whole schemas, of single columns, and of rows that fulfil a condition."""
        return self.major >= 15

    @property
    def has_triggers_of_foreign_keys(self) -> bool:
        """A partitioned table that a foreign key refers to has the key's triggers."""
        return self.major >= 15

    @property
    def keeps_foreign_keys_of_detached(self) -> bool:
        """A detached partition keeps its foreign keys to partitioned tables."""
        return self.major >= 15

    @property
    def has_actions_on_partitions(self) -> bool:
        """ON DELETE works for a foreign key that refers to a partitioned table, wherever the row is deleted."""
        return self.major >= 15

    @property
    def sends_plain_again(self) -> bool:
        """A table that was partitioned, and published by its root, can be sent to subscribers as a plain one."""
        return self.major >= 15

    @property
    def sends_attached(self) -> bool:
        """Subscribers are sent what is written into a partition that was written to before it was attached."""
        return self.major >= 15

    @property
    def has_set_option(self) -> bool:
        """SET ROLE asks for a privilege of its own, which a membership can lack."""
        return self.major >= 16

    @property
    def has_transaction_timeout(self) -> bool:
        return self.major >= 17

    @property
    def has_identity_on_partitions(self) -> bool:
        """Partitions have the identity columns of their table."""
        return self.major >= 17

    @property
    def has_unproven_keys(self) -> bool:
        """A partitioned table can be given a foreign key that is NOT VALID."""
        return self.major >= 18

    @property
    def compares_constraints_to_finalize(self) -> bool:
        """A detach can't be finalized when constraints or columns were added to the parent meanwhile."""
        return self.major >= 18

    @property
    def has_analyze_only(self) -> bool:
        """ANALYZE ONLY leaves out the partitions."""
        return self.major >= 18

    @property
    def takes_statistics(self) -> bool:
        """The planner's statistics can be written."""
        return self.major >= 18

    @property
    def has_publication_exceptions(self) -> bool:
        """FOR ALL TABLES EXCEPT."""
        return self.major >= 19
