-- Canonical text of SPEC 5; each function lives as long as the script that it is put before.
-- The same rules in Python: arrow/numbers.py, arrow/times.py.

create temp function warp_mantissa(digits string) returns string as ((
    select if(length(whole) = 1, whole, concat(substr(whole, 1, 1), '.', substr(whole, 2)))
    from (select digits as whole)
));

-- A decimal without an exponent, as ECMAScript prints numbers of its value. Here and below an argument that occurs more
-- than once is bound to a name, since functions are put in place of their calls, arguments and all.
create temp function warp_number_text(plain string) returns string as ((
    select case
        when regexp_contains(stripped, r'^-?0\.000000') then concat(
            regexp_extract(stripped, r'^-?'), warp_mantissa(regexp_extract(stripped, r'\.0*([1-9][0-9]*)$')),
            'e-', cast(length(regexp_extract(stripped, r'\.(0*)')) + 1 as string))
        when regexp_contains(stripped, r'^-?[0-9]{22,}$') then concat(
            regexp_extract(stripped, r'^-?'), warp_mantissa(regexp_extract(stripped, r'^-?([0-9]*[1-9])0*$')),
            'e+', cast(length(regexp_extract(stripped, r'[0-9]+')) - 1 as string))
        else stripped
    end
    from (
        select if(strpos(unstripped, '.') > 0, regexp_replace(unstripped, r'\.?0+$', ''), unstripped) as stripped
        from (select plain as unstripped)
    )
));

-- Whole digits with a power of ten, such as 15e-1, without the exponent.
create temp function warp_plain(digits string, places int64) returns string as ((
    select case
        when shift >= 0 then concat(whole, repeat('0', shift))
        when length(whole) > -shift
            then concat(substr(whole, 1, length(whole) + shift), '.', substr(whole, length(whole) + shift + 1))
        else concat('0.', repeat('0', -shift - length(whole)), whole)
    end
    from (select digits as whole, places as shift)
));

-- Canonical text with an exponent, written out.
create temp function warp_written_out(canonical string) returns string as ((
    select concat(regexp_extract(mantissa, r'^-?'), warp_plain(
        regexp_replace(mantissa, r'[-.]', ''),
        exponent - length(ifnull(regexp_extract(mantissa, r'\.([0-9]+)'), ''))))
    from (
        select split(unparted, 'e')[safe_offset(0)] as mantissa,
            safe_cast(replace(split(unparted, 'e')[safe_offset(1)], '+', '') as int64) as exponent
        from (select canonical as unparted)
    )
));

-- The shortest digits that read back, of a number above zero. Up to 15 of them always do; near a power of two the ones
-- that are nearest may not where their next neighbours do. Below the smallest normal number few digits are enough.
create temp function warp_shortest(x float64) returns string as ((
    select candidate from (
        select n, up, warp_plain(
            cast(safe_cast(replace(split(f, 'e')[safe_offset(0)], '.', '') as int64) + up as string),
            safe_cast(replace(split(f, 'e')[safe_offset(1)], '+', '') as int64) - n
        ) as candidate
        from (select n, format('%.*e', n, x) as f from unnest(generate_array(if(x < 2.3e-308, 0, 14), 16)) as n),
            unnest([0, 1]) as up
    )
    where safe_cast(candidate as float64) = x
    order by n, up
    limit 1
));

-- BigQuery's own cast has no sign of a zero, and not always the shortest digits. The argument is bound to no name here:
-- an engine may look a subquery's answer up by its input, for which the two zeros are one.
create temp function warp_double_text(x float64) returns string as (
    case
        when is_nan(x) then 'NaN'
        when is_inf(x) then if(x > 0, 'Infinity', '-Infinity')
        when x = 0 then if(starts_with(format('%f', x), '-'), '-0', '0')
        when x = trunc(x) and abs(x) <= 9007199254740992 then cast(safe_cast(x as int64) as string)
        else concat(if(x < 0, '-', ''), warp_number_text(warp_shortest(abs(x))))
    end
);

-- Of a key all digits of a 64-bit integer count, not only those that read back as the same double.
create temp function warp_double_digits(x float64) returns string as (
    if(
        abs(x) > 9007199254740992 and x >= -9223372036854775808 and x < 9223372036854775808,
        cast(safe_cast(x as int64) as string),
        warp_double_text(x)
    )
);

-- The decimal of a number's canonical text, null where it would be rounded; a zero has no sign.
create temp function warp_numeric(canonical string) returns numeric as ((
    select if(warp_number_text(cast(rounded as string)) = warp_number_text(unsigned), rounded, null)
    from (
        select unsigned, safe_cast(unsigned as numeric) as rounded
        from (
            select case
                when regexp_contains(given, r'^-0(\.0*)?$') then '0'
                when regexp_contains(given, r'^[-0-9.]+e') then warp_written_out(given)
                else given
            end as unsigned
            from (select canonical as given)
        )
    )
));

create temp function warp_bignumeric(canonical string) returns bignumeric as ((
    select if(warp_number_text(cast(rounded as string)) = warp_number_text(unsigned), rounded, null)
    from (
        select unsigned, safe_cast(unsigned as bignumeric) as rounded
        from (
            select case
                when regexp_contains(given, r'^-0(\.0*)?$') then '0'
                when regexp_contains(given, r'^[-0-9.]+e') then warp_written_out(given)
                else given
            end as unsigned
            from (select canonical as given)
        )
    )
));

-- A number's canonical text as canonical JSON, which has no number for NaN and the infinities; null where neither a
-- 64-bit integer nor a double has all of its digits.
create temp function warp_number_json(canonical string) returns json as ((
    select case
        when word in ('NaN', 'Infinity', '-Infinity') then to_json(word)
        when word = '-0' then parse_json('0')
        when safe_cast(word as int64) is not null then parse_json(word)
        when warp_double_text(safe_cast(word as float64)) = word
            then ifnull(safe.parse_json(word), safe.parse_json(concat(word, '.0')))
    end
    from (select if(strpos(canonical, 'e') > 0, canonical, warp_number_text(canonical)) as word)
));

create temp function warp_timestamp_text(v timestamp, is_ms bool) returns string as (
    case
        when is_ms then format_timestamp('%E4Y-%m-%dT%H:%M:%E3SZ', v)
        when extract(microsecond from v) = 0 then format_timestamp('%E4Y-%m-%dT%H:%M:%SZ', v)
        else format_timestamp('%E4Y-%m-%dT%H:%M:%E6SZ', v)
    end
);

create temp function warp_datetime_text(v datetime, is_ms bool) returns string as (
    case
        when is_ms then format_datetime('%E4Y-%m-%dT%H:%M:%E3S', v)
        when extract(microsecond from v) = 0 then format_datetime('%E4Y-%m-%dT%H:%M:%S', v)
        else format_datetime('%E4Y-%m-%dT%H:%M:%E6S', v)
    end
);

create temp function warp_time_text(v time) returns string as (
    if(extract(microsecond from v) = 0, format_time('%H:%M:%S', v), format_time('%H:%M:%E6S', v))
);
