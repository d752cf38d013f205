"""What Dagster shows: the configured tables as assets."""
