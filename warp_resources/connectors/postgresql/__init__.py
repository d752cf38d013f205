"""connectors/postgresql"""
