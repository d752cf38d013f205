"""What the engine says of itself: logs and metrics."""
