"""connectors/memory"""
