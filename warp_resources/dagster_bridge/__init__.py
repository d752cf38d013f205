"""dagster_bridge"""
