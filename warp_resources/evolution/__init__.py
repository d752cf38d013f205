"""From a known schema and an incoming batch to the schema that holds both."""
