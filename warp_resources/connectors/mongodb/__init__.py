"""connectors/mongodb"""
