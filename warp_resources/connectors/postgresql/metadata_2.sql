-- Version 2. `ceiling`: the source's clock when a batch table's generation opened.

alter table cartridge_warp_metadata.generations add column ceiling jsonb;
