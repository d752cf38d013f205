-- Version 1 of the metadata schema (SPEC 4). Columns beyond the contract's are the engine's own.

create table cartridge_warp_metadata.metadata_version (
    version integer primary key,
    applied_at timestamptz not null default clock_timestamp()
);

-- A stream's own row has the empty table name. A table has one row of type stream or batch for its life.
-- A slice's row, of type snapshot, is the fence of the one who writes its chunks.
create table cartridge_warp_metadata.sync_markers (
    schema_name text not null,
    table_name text not null,
    marker_type text not null check (marker_type in ('stream', 'batch', 'snapshot')),
    slice text not null default '',
    position jsonb,
    sequence bigint not null default 0,
    epoch bigint not null default 0,
    updated_at timestamptz not null default clock_timestamp(),
    schema_version integer not null default 0,
    covered_from jsonb,
    is_loaded boolean not null default false,
    stream_sequence bigint not null default 0,
    primary key (schema_name, table_name, marker_type, slice)
) with (fillfactor = 50);

create unique index sync_markers_own_row on cartridge_warp_metadata.sync_markers (schema_name, table_name)
    where marker_type <> 'snapshot';

create table cartridge_warp_metadata.schema_registry (
    schema_name text not null,
    table_name text not null,
    version integer not null,
    columns jsonb not null,
    changes jsonb not null,
    applied_at timestamptz not null default clock_timestamp(),
    run_id text,
    primary key (schema_name, table_name, version)
);

-- Only names that could not be kept; the empty column name is the table's own.
create table cartridge_warp_metadata.name_map (
    schema_name text not null,
    table_name text not null,
    column_name text not null default '',
    stored_name text not null,
    primary key (schema_name, table_name, column_name)
);

create table cartridge_warp_metadata.sync_runs (
    run_id text not null,
    schema_name text not null,
    table_name text not null,
    mode text not null,
    status text not null,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    rows_written bigint not null default 0,
    rows_deleted bigint not null default 0,
    rows_rejected bigint not null default 0,
    bytes_transferred bigint not null default 0,
    start_position jsonb,
    end_position jsonb,
    error text,
    primary key (run_id, schema_name, table_name, mode)
) with (fillfactor = 50);

create index sync_runs_started_at on cartridge_warp_metadata.sync_runs (started_at);

create table cartridge_warp_metadata.error_log (
    error_id bigint generated always as identity primary key,
    occurred_at timestamptz not null default clock_timestamp(),
    schema_name text not null,
    table_name text not null,
    column_name text,
    error_type text not null,
    severity text not null,
    primary_key text,
    message text not null,
    action text not null,
    run_id text
);

create index error_log_occurred_at on cartridge_warp_metadata.error_log (occurred_at);

-- `sequence` is the commit that made the letter; `basis` what its record is as new as: rows with a
-- later sequence are newer than the record.
create table cartridge_warp_metadata.dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    occurred_at timestamptz not null default clock_timestamp(),
    schema_name text not null,
    table_name text not null,
    primary_key text not null,
    operation text not null,
    position jsonb,
    reason text not null,
    column_name text,
    record text not null,
    status text not null default 'pending' check (status in ('pending', 'replayed', 'superseded', 'discarded')),
    attempts integer not null default 0,
    resolved_at timestamptz,
    sequence bigint not null,
    basis bigint not null,
    encoding text not null,
    key_text text,
    run_id text
);

-- By hash, because a key may be longer than an index entry can be.
create index dead_letters_pending on cartridge_warp_metadata.dead_letters
    (schema_name, table_name, hashtextextended(key_text, 0)) where status = 'pending';
create index dead_letters_quarantined on cartridge_warp_metadata.dead_letters
    (schema_name, table_name, sequence) where column_name is null;

create table cartridge_warp_metadata.deletion_log (
    schema_name text not null,
    table_name text not null,
    primary_key text not null,
    deleted_at timestamptz not null default clock_timestamp(),
    position jsonb,
    strategy text not null,
    cause text not null,
    sequence bigint not null
);

create index deletion_log_deleted_at on cartridge_warp_metadata.deletion_log (schema_name, table_name, deleted_at);

create table cartridge_warp_metadata.plans (
    schema_name text not null,
    table_name text not null,
    ordinal integer not null,
    lower_bound text,
    upper_bound text,
    primary key (schema_name, table_name, ordinal)
);

-- `is_straight`: the table was empty when the generation opened.
create table cartridge_warp_metadata.generations (
    schema_name text not null,
    table_name text not null,
    generation text not null,
    status text not null default 'open' check (status in ('open', 'closed', 'abandoned')),
    first_sequence bigint not null,
    is_whole boolean not null,
    is_straight boolean not null,
    opened_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    primary key (schema_name, table_name, generation)
);

create table cartridge_warp_metadata.slices (
    schema_name text not null,
    table_name text not null,
    generation text not null,
    slice text not null,
    ordinal integer not null,
    lower_bound text,
    upper_bound text,
    resume text,
    is_done boolean not null default false,
    high jsonb,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (schema_name, table_name, generation, slice)
);

create table cartridge_warp_metadata.tombstones (
    schema_name text not null,
    table_name text not null,
    digest bytea not null,
    key_text text not null,
    sequence bigint not null,
    primary key (schema_name, table_name, digest)
);

create table cartridge_warp_metadata.leases (
    name text primary key,
    token uuid not null,
    host text not null,
    pid integer not null,
    started double precision not null,
    label text not null,
    taken_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
) with (fillfactor = 50);

create table cartridge_warp_metadata.mandates (
    schema_name text primary key,
    expires_at timestamptz not null
) with (fillfactor = 50);
