"""What is known of one table: its definition, and how two of them differ."""
