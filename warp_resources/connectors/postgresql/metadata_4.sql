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

-- Rows that wait for another row are looked for every few seconds.
create index dead_letters_waiting on cartridge_warp_metadata.dead_letters (schema_name, retry_at)
    where status = 'pending' and reason = 'foreign_key';

-- How many values were dropped, hashed, masked or discarded because the configuration says so.
create table cartridge_warp_metadata.discards (
    schema_name text not null,
    table_name text not null,
    column_name text not null,
    action text not null,
    value_count bigint not null,
    primary key (schema_name, table_name, column_name, action)
) with (fillfactor = 50);

-- Type changes that go on beside the use of their tables: how far the filling of the new columns has come.
-- `stage`: `fill`, then `check` of what was written meanwhile. `heap_file`: another one holds the rows after a rewrite.
create table cartridge_warp_metadata.rewrites (
    schema_name text not null,
    table_name text not null,
    stage text not null default 'fill',
    heap_file bigint not null,
    next_block bigint not null default 0,
    end_block bigint not null,
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (schema_name, table_name)
) with (fillfactor = 50);
