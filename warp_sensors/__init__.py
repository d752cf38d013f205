"""What keeps tables up to date under Dagster: sensors, schedules and the drainer."""
