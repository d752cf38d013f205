-- Version 6. What the holder of a lease has noted beside it.

alter table cartridge_warp_metadata.leases add column note text;
