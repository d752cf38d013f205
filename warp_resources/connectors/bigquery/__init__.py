"""BigQuery as a source and as a destination."""
