"""The line from a source to a destination: read, conform, write, acknowledge."""
