"""The demonstration: servers, data and Dagster on this machine."""
