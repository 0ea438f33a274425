-- What several functions do. Each function is one transaction of READ COMMITTED, in which each statement sees
-- what was committed before it began: so a lock is taken by a statement of its own, and what it protects is
-- read by a later one.

-- The lock of a namespace (`slot` 0), or of the tags of one slot (1 to 64). Slots, so that no transaction
-- takes more than 65 entries of the server's lock table; what shares a slot only waits.
CREATE FUNCTION http_cache.lock_of(p_namespace text, p_slot bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended('http_cache.' || p_namespace, p_slot);
$$;

-- Takes a namespace's lock. Under a stricter isolation all statements would see what was there before it.
CREATE FUNCTION http_cache.enter(p_namespace text, p_alone boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the cache needs the isolation level "read committed"' USING ERRCODE = 'HC001';
    END IF;
    IF p_alone THEN
        PERFORM pg_advisory_xact_lock(http_cache.lock_of(p_namespace, 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(http_cache.lock_of(p_namespace, 0));
    END IF;
END $$;

-- The slots of tags that lie end to end, in the order in which everybody locks them.
CREATE FUNCTION http_cache.slots_of(p_tags bytea) RETURNS SETOF bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT DISTINCT 1 + (get_byte(p_tags, 16 * i) & 63)::bigint AS slot
    FROM generate_series(0, octet_length(p_tags) / 16 - 1) AS i ORDER BY slot;
$$;

CREATE FUNCTION http_cache.tags_of(p_tags bytea) RETURNS SETOF bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT DISTINCT substr(p_tags, 16 * i + 1, 16) FROM generate_series(0, octet_length(p_tags) / 16 - 1) AS i;
$$;

-- Deletes variants whose resources are locked; their stored bodies stay readable until `p_gone_at`.
CREATE FUNCTION http_cache.drop_variants(p_variants bigint[], p_gone_at bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE http_cache.body SET gone_at = p_gone_at WHERE gone_at IS NULL AND id IN (
        SELECT v.stored FROM http_cache.variant v WHERE v.id = ANY (p_variants) AND v.stored IS NOT NULL);
    DELETE FROM http_cache.content WHERE variant = ANY (p_variants);
    DELETE FROM http_cache.tag WHERE variant = ANY (p_variants);
    DELETE FROM http_cache.variant WHERE id = ANY (p_variants);
END $$;

-- Deletes those of the locked resources of which nothing is left to remember.
CREATE FUNCTION http_cache.drop_empty(p_resources bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    dropped bigint;
BEGIN
    DELETE FROM http_cache.resource r WHERE r.id = ANY (p_resources) AND r.tombstone_until IS NULL
        AND NOT EXISTS (SELECT 1 FROM http_cache.variant v WHERE v.resource = r.id);
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$;
