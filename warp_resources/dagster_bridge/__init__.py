"""What Dagster and the engine say to each other: names, resources, metadata and partitions."""
