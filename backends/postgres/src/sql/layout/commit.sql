-- A commit: all of it in one transaction and one round trip. The rules are those of `cache_api::Record`.
--
-- Locks, in this order everywhere: the namespace, the slots of the tags (both shared here; `clear` takes the
-- one and `purge` the others exclusively), the resource's row, the body's row.
CREATE FUNCTION http_cache.commit_entry(
    p_namespace text, p_epoch bytea, p_purges bigint,
    p_key bytea, p_generation bytea, p_variant bytea, p_saw bytea,
    -- A head that replaces another names the body and head counter it replaces, and brings no body.
    p_keep bytea, p_keep_heads bigint,
    p_body bytea, p_frames bigint, p_len bigint, p_inline bytea, p_inline_limit bigint,
    p_head bytea, p_tags bytea, p_stored_at bigint, p_dead_at bigint,
    p_now bigint, p_gone_at bigint,
    p_max_size bigint, p_max_variants bigint, p_max_inline bigint,
    OUT outcome text, OUT heads bigint, OUT dead_at bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    none CONSTANT bytea := '\x00000000000000000000000000000000';
    slot bigint;
    space record;
    resource_id bigint;
    resource_generation bytea;
    is_new boolean := false;
    old record;
    is_live boolean;
    pending record;
    stored_id bigint;
    limit_at bigint;
    inline_bytes bytea := p_inline;
    entry_size bigint;
    variant_id bigint;
    others bigint[];
BEGIN
    PERFORM http_cache.enter(p_namespace, false);
    IF p_tags <> '' THEN
        FOR slot IN SELECT s FROM http_cache.slots_of(p_tags) s ORDER BY s LOOP
            PERFORM pg_advisory_xact_lock_shared(http_cache.lock_of(p_namespace, slot));
        END LOOP;
    END IF;

    outcome := 'removed';
    SELECT s.id, s.epoch INTO space FROM http_cache.namespace s
    WHERE s.name = p_namespace AND s.cleared_at IS NULL;
    IF NOT FOUND THEN
        -- Somebody deleted the namespace's row, or a crash emptied an unlogged table: with a new one, later
        -- commits work.
        INSERT INTO http_cache.namespace (name, epoch)
        VALUES (p_namespace, substr(uuid_send(gen_random_uuid()), 9)) ON CONFLICT DO NOTHING;
        RETURN;
    END IF;
    IF space.epoch <> p_epoch THEN
        RETURN;
    END IF;
    IF p_tags <> '' AND EXISTS (
        SELECT 1 FROM http_cache.tag_tombstone t WHERE t.namespace = space.id
            AND t.tag IN (SELECT http_cache.tags_of(p_tags)) AND t.purge > p_purges)
    THEN
        RETURN;
    END IF;

    -- Again where the sweep deleted the row in between.
    LOOP
        SELECT r.id, r.generation INTO resource_id, resource_generation FROM http_cache.resource r
        WHERE r.namespace = space.id AND r.key = p_key FOR UPDATE;
        EXIT WHEN FOUND;
        IF p_generation <> none THEN
            RETURN;
        END IF;
        INSERT INTO http_cache.resource (namespace, key, generation) VALUES (space.id, p_key, none)
        ON CONFLICT DO NOTHING RETURNING id, generation INTO resource_id, resource_generation;
        is_new := FOUND;
        EXIT WHEN is_new;
    END LOOP;
    IF octet_length(resource_generation) <> 16 THEN
        UPDATE http_cache.resource SET generation = none WHERE id = resource_id;
        resource_generation := none;
    END IF;
    IF resource_generation <> p_generation THEN
        RETURN;
    END IF;

    SELECT v.id, v.body, v.heads, v.stored, v.dead_at, v.limit_at, v.tags
    INTO old FROM http_cache.variant v WHERE v.resource = resource_id AND v.variant = p_variant;
    is_live := FOUND AND old.dead_at > p_now AND octet_length(old.body) = 16 AND old.heads >= 0;

    IF p_keep IS NOT NULL THEN
        IF NOT is_live OR old.body <> p_keep OR old.heads <> p_keep_heads THEN
            outcome := 'version changed';
            PERFORM http_cache.drop_empty(ARRAY[resource_id]) WHERE is_new;
            RETURN;
        END IF;
        heads := old.heads + 1;
        dead_at := least(p_dead_at, old.limit_at);
        variant_id := old.id;
        UPDATE http_cache.variant v SET heads = commit_entry.heads, stored_at = p_stored_at,
            dead_at = commit_entry.dead_at, used_at = greatest(v.used_at, p_now), tags = p_tags,
            size = greatest(0, v.size + octet_length(p_head) + octet_length(p_tags) - octet_length(v.tags)
                - (SELECT octet_length(c.head) FROM http_cache.content c WHERE c.variant = v.id))
        WHERE v.id = variant_id;
        UPDATE http_cache.content SET head = p_head WHERE variant = variant_id;
    ELSE
        IF is_live AND old.body = p_body THEN
            -- The same commit again, after an answer that was lost.
            outcome := 'stored';
            heads := old.heads;
            dead_at := old.dead_at;
            RETURN;
        END IF;
        IF is_live AND old.body IS DISTINCT FROM p_saw THEN
            outcome := 'replaced';
            RETURN;
        END IF;
        entry_size := octet_length(p_head) + octet_length(p_tags) + coalesce(octet_length(p_inline), 0);
        limit_at := p_inline_limit;
        IF p_inline IS NULL THEN
            SELECT b.id, b.bytes, b.limit_at INTO pending FROM http_cache.body b
            WHERE b.body = p_body AND b.namespace = space.id AND NOT b.committed AND b.gone_at IS NULL
                AND b.frames = p_frames FOR UPDATE;
            IF NOT FOUND THEN
                outcome := 'body gone';
                PERFORM http_cache.drop_empty(ARRAY[resource_id]) WHERE is_new;
                RETURN;
            END IF;
            stored_id := pending.id;
            limit_at := pending.limit_at;
            entry_size := entry_size + pending.bytes;
        END IF;
        IF entry_size > p_max_size THEN
            outcome := 'too large';
            PERFORM http_cache.drop_empty(ARRAY[resource_id]) WHERE is_new;
            RETURN;
        END IF;
        IF p_inline IS NOT NULL AND p_len + (
            SELECT coalesce(sum(o.len), 0) FROM http_cache.variant o WHERE o.resource = resource_id
                AND o.variant <> p_variant AND o.stored IS NULL AND o.dead_at > p_now) > p_max_inline
        THEN
            -- What would not fit into a lookup's reply is kept as a stored body of one frame.
            INSERT INTO http_cache.body (namespace, body, began_at, limit_at, committed, frames, bytes)
            VALUES (space.id, p_body, p_now, limit_at, true, 1, octet_length(p_inline))
            RETURNING id INTO stored_id;
            INSERT INTO http_cache.frame (body, n, bytes) VALUES (stored_id, 0, p_inline);
            inline_bytes := NULL;
        ELSIF stored_id IS NOT NULL THEN
            UPDATE http_cache.body SET committed = true WHERE id = stored_id;
        END IF;
        UPDATE http_cache.body SET gone_at = p_gone_at WHERE id = old.stored AND gone_at IS NULL;

        heads := 0;
        dead_at := least(p_dead_at, limit_at);
        INSERT INTO http_cache.variant AS v (namespace, resource, variant, body, heads, stored, frames, len,
            size, stored_at, dead_at, limit_at, used_at, tags)
        VALUES (space.id, resource_id, p_variant, p_body, 0, stored_id, p_frames, p_len,
            entry_size, p_stored_at, commit_entry.dead_at, limit_at, p_now, p_tags)
        ON CONFLICT (resource, variant) DO UPDATE SET body = excluded.body, heads = 0,
            stored = excluded.stored, frames = excluded.frames, len = excluded.len, size = excluded.size,
            stored_at = excluded.stored_at, dead_at = excluded.dead_at, limit_at = excluded.limit_at,
            used_at = excluded.used_at, tags = excluded.tags, uses = 0
        RETURNING v.id INTO variant_id;
        INSERT INTO http_cache.content AS c (variant, head, inline) VALUES (variant_id, p_head, inline_bytes)
        ON CONFLICT (variant) DO UPDATE SET head = excluded.head, inline = excluded.inline;
    END IF;
    outcome := 'stored';

    IF old.tags IS DISTINCT FROM p_tags THEN
        DELETE FROM http_cache.tag WHERE variant = variant_id;
        INSERT INTO http_cache.tag (namespace, tag, variant)
        SELECT space.id, t, variant_id FROM http_cache.tags_of(p_tags) t ON CONFLICT DO NOTHING;
    END IF;
    -- All but the newest live variants beside ours, so that with ours there are at most the allowed.
    IF old.id IS NULL AND NOT is_new AND (SELECT count(*) FROM http_cache.variant v WHERE v.resource = resource_id)
        > p_max_variants
    THEN
        others := ARRAY(
            SELECT v.id FROM http_cache.variant v WHERE v.resource = resource_id AND v.id <> variant_id
            ORDER BY v.dead_at > p_now DESC, v.stored_at DESC, v.id DESC OFFSET p_max_variants - 1);
        PERFORM http_cache.drop_variants(others, p_gone_at);
    END IF;
END $$;
