-- Version 4. Tables set aside from their stream, what is discarded by rule, and what became of replays.

-- `aside_position`: where in the stream the table stopped taking part; null where it takes part.
alter table cartridge_warp_metadata.sync_markers
    add column aside_position jsonb,
    add column aside_reason text,
    add column aside_since timestamptz;

-- `last_error` and `retry_at`: of a replay that failed, and when the engine tries again by itself.
alter table cartridge_warp_metadata.dead_letters
    add column last_error text,
    add column retry_at timestamptz;

-- How many values were dropped, hashed, masked or discarded because the configuration says so.
create table cartridge_warp_metadata.discards (
    schema_name text not null,
    table_name text not null,
    column_name text not null,
    action text not null,
    value_count bigint not null,
    primary key (schema_name, table_name, column_name, action)
) with (fillfactor = 50);
