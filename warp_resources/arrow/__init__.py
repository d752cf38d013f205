"""Pure functions on Arrow arrays: what types become together, and how values read as text, JSON and keys."""
