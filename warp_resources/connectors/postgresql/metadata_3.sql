-- Version 3. What `statistics` counted in rows that are removed since: counters never go down.

create table cartridge_warp_metadata.removed_runs (
    schema_name text not null,
    table_name text not null,
    rows_written bigint not null,
    rows_deleted bigint not null,
    rows_rejected bigint not null,
    bytes_transferred bigint not null,
    primary key (schema_name, table_name)
);

create table cartridge_warp_metadata.removed_errors (
    schema_name text not null,
    table_name text not null,
    error_type text not null,
    entries bigint not null,
    warnings bigint not null,
    primary key (schema_name, table_name, error_type)
);

-- By block, since a log grows at its end: it costs the commits that delete rows next to nothing.
create index deletion_log_age on cartridge_warp_metadata.deletion_log using brin (deleted_at);
create index dead_letters_resolved_at on cartridge_warp_metadata.dead_letters (resolved_at) where status <> 'pending';

-- What goes on is looked for at each start, among all that ever ran.
create index sync_runs_running on cartridge_warp_metadata.sync_runs (schema_name, table_name) where status = 'running';
