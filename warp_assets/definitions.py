"""The code location: every configured table as an asset."""
