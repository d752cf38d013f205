-- Version 5. How far the readings of tables have come: the rows that were read of each slice, and the time it took.
-- The stored name of a table beside that of its field without a name.

alter table cartridge_warp_metadata.slices
    add column row_count bigint not null default 0,
    add column seconds double precision not null default 0;

alter table cartridge_warp_metadata.name_map add column is_table boolean not null default false;

update cartridge_warp_metadata.name_map set is_table = true where column_name = '';

alter table cartridge_warp_metadata.name_map
    drop constraint name_map_pkey,
    add primary key (schema_name, table_name, column_name, is_table);
