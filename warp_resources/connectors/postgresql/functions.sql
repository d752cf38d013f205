-- Canonical text and key text of SPEC 5, for `alter ... using`; they live as long as the session.
-- The same rules in Python: arrow/numbers.py, arrow/times.py, arrow/keys.py.

create or replace function pg_temp.warp_mantissa(digits text) returns text language sql immutable as $$
    select case when length(digits) = 1 then digits else left(digits, 1) || '.' || substr(digits, 2) end
$$;

-- The shortest decimal that reads back. float8's text never is one that lies exactly between two doubles,
-- although it reads back (1e23 is shown as 9.999999999999999e+22). Such decimals can be shorter than what is shown
-- between 2^53 and 10^40 only: below they have over 16 digits, above too few factors of 5.
create or replace function pg_temp.warp_double_numeric(v double precision) returns numeric language sql immutable as $$
    select case
        when v = 'NaN' or abs(v) < 9007199254740992 or abs(v) > 1e40 then v::text::numeric
        else (
            select round(v::text::numeric, k - split_part(v::text, 'e+', 2)::integer)
            from generate_series(0, 16) as k
            where round(v::text::numeric, k - split_part(v::text, 'e+', 2)::integer)::double precision = v
            order by k limit 1
        )
    end
$$;

create or replace function pg_temp.warp_tiny_text(v numeric, pad integer) returns text language sql immutable as $$
    select case when v < 0 then '-' else '' end || pg_temp.warp_mantissa(digits) || 'e-'
        || case when exponent < 10 then repeat('0', pad - 1) else '' end || exponent::text
    from (select ltrim(substr(abs(v)::text, 3), '0') as digits) as d,
        lateral (select scale(v) - length(digits) + 1 as exponent) as e
$$;

create or replace function pg_temp.warp_huge_text(v numeric) returns text language sql immutable as $$
    select case when v < 0 then '-' else '' end || pg_temp.warp_mantissa(rtrim(abs(v)::text, '0'))
        || 'e+' || (length(abs(v)::text) - 1)::text
$$;

create or replace function pg_temp.warp_numeric_text(v numeric) returns text language sql immutable as $$
    select case
        when v = 0 or v in ('NaN', 'Infinity', '-Infinity') then v::text
        when scale(v) = 0 and abs(v) >= 1e21 then pg_temp.warp_huge_text(v)
        when scale(v) > 0 and abs(v) < 1e-6 then pg_temp.warp_tiny_text(v, 1)
        else v::text
    end
$$;

-- As ECMAScript prints a number; float8's text turns to exponents at 1e15 and below 1e-4, and pads them.
create or replace function pg_temp.warp_double_text(v double precision) returns text language sql immutable as $$
    select case
        when v = 0 or v in ('NaN', 'Infinity', '-Infinity') then v::text
        when abs(v) < 1e-6 then regexp_replace(v::text, 'e-0+', 'e-')
        when abs(v) < 9007199254740992 then trim_scale(v::text::numeric)::text
        else pg_temp.warp_numeric_text(pg_temp.warp_double_numeric(v))
    end
$$;

-- Of a key all digits of a 64-bit integer count, not only those that read back as the same double.
create or replace function pg_temp.warp_double_key(v double precision) returns numeric language sql immutable as $$
    select case
        when abs(v) >= 9007199254740992 and v >= -9223372036854775808 and v < 9223372036854775808
            then v::bigint::numeric
        else pg_temp.warp_double_numeric(v)
    end
$$;

create or replace function pg_temp.warp_number_key(v numeric) returns text language sql immutable as $$
    select case
        when v in ('NaN', 'Infinity', '-Infinity') then '{"$numberDouble": "' || v::text || '"}'
        when v = 0 then '0'
        when scale(trim_scale(v)) = 0 and abs(v) >= 1e21 then pg_temp.warp_huge_text(trim_scale(v))
        when scale(trim_scale(v)) > 0 and abs(v) < 1e-4 then pg_temp.warp_tiny_text(trim_scale(v), 2)
        else trim_scale(v)::text
    end
$$;

-- Whether a number without trailing zeros, and no 64-bit integer, is exactly a double: 53 bits, 1074 places, below 2^1024.
create or replace function pg_temp.warp_is_double(v numeric) returns boolean language sql immutable as $$
    select case
        when scale(v) > 1074 or abs(v) >= power(2::numeric, 1024) then false
        when scale(v) > 0 then abs(v) * power(2::numeric, scale(v)) < 9007199254740992
            and scale(trim_scale(v * power(2::numeric, scale(v)))) = 0
        else exists (
            select from generate_series(0, 971) as k
            where abs(v) < 9007199254740992 * power(2::numeric, k) and v % power(2::numeric, k) = 0
        )
    end
$$;

create or replace function pg_temp.warp_decimal_key(v numeric) returns text language sql immutable as $$
    select case
        when v in ('NaN', 'Infinity', '-Infinity') then pg_temp.warp_number_key(v)
        when scale(trim_scale(v)) = 0 and v >= -9223372036854775808 and v < 9223372036854775808
            then trim_scale(v)::text
        when pg_temp.warp_is_double(trim_scale(v)) then
            pg_temp.warp_number_key(pg_temp.warp_double_numeric(trim_scale(v)::double precision))
        else '{"$numberDecimal": "' || pg_temp.warp_number_key(v) || '"}'
    end
$$;

-- A number's canonical text as canonical JSON, which has no number for NaN and the infinities.
create or replace function pg_temp.warp_number_json(v text) returns jsonb language sql immutable as $$
    select case when v in ('NaN', 'Infinity', '-Infinity') then to_jsonb(v) else v::jsonb end
$$;

-- Years outside 1-9999 carry a sign and six digits; 1 BC is the year 0.
create or replace function pg_temp.warp_date_text(v timestamp) returns text language sql immutable as $$
    select case
        when y between 1 and 9999 then lpad(y::text, 4, '0')
        when y < 0 then '-' || lpad((-y)::text, 6, '0')
        else '+' || lpad(y::text, 6, '0')
    end || to_char(v, '-MM-DD')
    from (select (extract(year from v) + case when extract(year from v) < 0 then 1 else 0 end)::integer as y) as s
$$;

create or replace function pg_temp.warp_timestamp_text(v timestamp, is_ms boolean, zone text)
returns text language sql immutable as $$
    select pg_temp.warp_date_text(v) || to_char(v, '"T"HH24:MI:SS') || case
        when is_ms then to_char(v, '.MS')
        when to_char(v, 'US') = '000000' then ''
        else to_char(v, '.US')
    end || zone
$$;

create or replace function pg_temp.warp_time_text(v time) returns text language sql immutable as $$
    select case when v::text like '%.%' then rpad(v::text, 15, '0') else v::text end
$$;

create or replace function pg_temp.warp_date_key(v timestamptz) returns text language sql immutable as $$
    select case
        when v >= '1970-01-01 00:00:00+00' and v < '10000-01-01 00:00:00+00' then '{"$date": "'
            || regexp_replace(pg_temp.warp_timestamp_text(v at time zone 'UTC', true, 'Z'), '\.000Z$', 'Z') || '"}'
        else '{"$date": {"$numberLong": "' || (extract(epoch from v) * 1000)::bigint::text || '"}}'
    end
$$;

create or replace function pg_temp.warp_binary_key(v bytea, subtype text) returns text language sql immutable as $$
    select '{"$binary": {"base64": "' || translate(encode(v, 'base64'), E'\n', '')
        || '", "subType": "' || subtype || '"}}'
$$;

-- A JSON string in ASCII only, as Python's json.dumps writes it.
create or replace function pg_temp.warp_string_key(v text) returns text language sql immutable as $$
    select case when v collate "C" ~ '^[ -~]*$' then to_json(v)::text else (
        select '"' || string_agg(case
            when letter = '"' then '\"'
            when code < 127 then trim(both '"' from to_json(letter)::text)
            when code < 65536 then '\u' || lpad(to_hex(code), 4, '0')
            else '\u' || to_hex(55296 + ((code - 65536) >> 10)) || '\u' || to_hex(56320 + ((code - 65536) & 1023))
        end, '' order by turn) || '"'
        from (
            select letter, ascii(letter) as code, turn
            from string_to_table(v, null) with ordinality as letters (letter, turn)
        ) as s
    ) end
$$;
