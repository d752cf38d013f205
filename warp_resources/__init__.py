"""The engine of cartridge-warp."""
