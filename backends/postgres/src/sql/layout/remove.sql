-- Removals. Each takes the namespace's lock in shared mode: one that overlapped a `clear` would leave its
-- tombstone in the namespace that was cleared, where no commit looks.

CREATE FUNCTION http_cache.remove_resource(
    p_namespace text, p_key bytea, p_until bigint, p_now bigint, p_gone_at bigint
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    space bigint;
    resource_id bigint;
    live bigint;
    variants bigint[];
BEGIN
    PERFORM http_cache.enter(p_namespace, false);
    SELECT s.id INTO space FROM http_cache.namespace s WHERE s.name = p_namespace AND s.cleared_at IS NULL;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- This waits for a commit that holds or inserts the row; later ones find another generation.
    INSERT INTO http_cache.resource AS r (namespace, key, generation, tombstone_until)
    VALUES (space, p_key, uuid_send(gen_random_uuid()), p_until)
    ON CONFLICT (namespace, key) DO UPDATE SET generation = excluded.generation,
        tombstone_until = greatest(r.tombstone_until, excluded.tombstone_until)
    RETURNING r.id INTO resource_id;
    SELECT count(*) FILTER (WHERE v.dead_at > p_now), array_agg(v.id) INTO live, variants
    FROM http_cache.variant v WHERE v.resource = resource_id;
    IF variants IS NOT NULL THEN
        PERFORM http_cache.drop_variants(variants, p_gone_at);
    END IF;
    RETURN live;
END $$;

-- The generation stays: the version never comes back.
CREATE FUNCTION http_cache.remove_version(
    p_namespace text, p_key bytea, p_body bytea, p_heads bigint, p_now bigint, p_gone_at bigint
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    resource_id bigint;
    live bigint;
    variants bigint[];
BEGIN
    PERFORM http_cache.enter(p_namespace, false);
    SELECT r.id INTO resource_id FROM http_cache.namespace s
    JOIN http_cache.resource r ON r.namespace = s.id AND r.key = p_key
    WHERE s.name = p_namespace AND s.cleared_at IS NULL FOR UPDATE OF r;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT count(*) FILTER (WHERE v.dead_at > p_now), array_agg(v.id) INTO live, variants
    FROM http_cache.variant v WHERE v.resource = resource_id AND v.body = p_body AND v.heads = p_heads;
    IF variants IS NOT NULL THEN
        PERFORM http_cache.drop_variants(variants, p_gone_at);
        PERFORM http_cache.drop_empty(ARRAY[resource_id]);
    END IF;
    RETURN live;
END $$;

-- A batch of a purge by tag; the first, which has no `p_last`, is the purge itself: it counts the namespace's
-- purges up and leaves the number at each tag, from when on a commit whose lookup saw a lower one is refused.
-- The lock waits for the commits under way with such tags, and keeps new ones waiting until the number is there.
-- Later batches need no lock of tags: they delete what was there then (`variant.id <= last`).
CREATE FUNCTION http_cache.purge_tags(
    p_namespace text, p_tags bytea, p_until bigint, p_now bigint, p_gone_at bigint, p_batch bigint,
    p_last bigint, OUT resources bigint, OUT live bigint, OUT last bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    slot bigint;
    space bigint;
    number bigint;
    wanted bytea[] := ARRAY(SELECT http_cache.tags_of(p_tags));
    touched bigint[];
    variants bigint[];
BEGIN
    resources := 0;
    live := 0;
    last := coalesce(p_last, 0);
    PERFORM http_cache.enter(p_namespace, false);
    IF p_last IS NULL THEN
        FOR slot IN SELECT s FROM http_cache.slots_of(p_tags) s ORDER BY s LOOP
            PERFORM pg_advisory_xact_lock(http_cache.lock_of(p_namespace, slot));
        END LOOP;
    END IF;
    SELECT s.id INTO space FROM http_cache.namespace s WHERE s.name = p_namespace AND s.cleared_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF p_last IS NULL THEN
        -- The row's lock, held to the end, orders purges as they are numbered.
        UPDATE http_cache.namespace SET purges = purges + 1 WHERE id = space RETURNING purges INTO number;
        INSERT INTO http_cache.tag_tombstone AS t (namespace, tag, purge, until)
        SELECT space, tag, number, p_until FROM unnest(wanted) tag ORDER BY tag
        ON CONFLICT (namespace, tag) DO UPDATE SET purge = excluded.purge,
            until = greatest(t.until, excluded.until);
        SELECT coalesce(max(t.variant), 0) INTO last FROM http_cache.tag t
        WHERE t.namespace = space AND t.tag = ANY (wanted);
    END IF;
    touched := ARRAY(
        SELECT DISTINCT v.resource FROM http_cache.tag t JOIN http_cache.variant v ON v.id = t.variant
        WHERE t.namespace = space AND t.tag = ANY (wanted) AND t.variant <= last LIMIT p_batch);
    resources := cardinality(touched);
    IF resources = 0 THEN
        RETURN;
    END IF;
    PERFORM 1 FROM http_cache.resource r WHERE r.id = ANY (touched) ORDER BY r.id FOR UPDATE;
    -- What was found may have changed while the locks were waited for.
    SELECT count(*) FILTER (WHERE v.dead_at > p_now), array_agg(v.id) INTO live, variants
    FROM http_cache.variant v WHERE v.resource = ANY (touched) AND v.id IN (
        SELECT t.variant FROM http_cache.tag t
        WHERE t.namespace = space AND t.tag = ANY (wanted) AND t.variant <= last);
    IF variants IS NOT NULL THEN
        UPDATE http_cache.resource SET generation = uuid_send(gen_random_uuid()),
            tombstone_until = greatest(tombstone_until, p_until)
        WHERE id IN (SELECT v.resource FROM http_cache.variant v WHERE v.id = ANY (variants));
        PERFORM http_cache.drop_variants(variants, p_gone_at);
    END IF;
END $$;

-- Puts all out of sight; the sweep deletes the rows.
CREATE FUNCTION http_cache.clear_namespace(p_namespace text, p_now bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    space bigint;
    live bigint;
BEGIN
    PERFORM http_cache.enter(p_namespace, true);
    UPDATE http_cache.namespace SET cleared_at = p_now WHERE name = p_namespace AND cleared_at IS NULL
    RETURNING id INTO space;
    INSERT INTO http_cache.namespace (name, epoch)
    VALUES (p_namespace, substr(uuid_send(gen_random_uuid()), 9)) ON CONFLICT DO NOTHING;
    SELECT count(*) INTO live FROM http_cache.variant v WHERE v.namespace = space AND v.dead_at > p_now;
    RETURN live;
END $$;
