-- Deleting what is dead, in batches of bounded size. Rows that others hold are passed over, so that sweeps of
-- many processes wait neither for writers nor for each other.
CREATE FUNCTION http_cache.sweep_batch(
    p_namespace text, p_now bigint, p_grace bigint, p_began_before bigint, p_batch bigint, p_frames bigint,
    OUT entries bigint, OUT bodies bigint, OUT changed bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    space bigint;
    found_rows bigint[];
    variants bigint[];
    count_of bigint;
BEGIN
    entries := 0;
    bodies := 0;
    changed := 0;
    SELECT s.id INTO space FROM http_cache.namespace s WHERE s.name = p_namespace AND s.cleared_at IS NULL;

    -- Dead variants, once their resources are locked.
    found_rows := ARRAY(
        SELECT r.id FROM http_cache.resource r WHERE r.id IN (
            SELECT v.resource FROM http_cache.variant v WHERE v.namespace = space AND v.dead_at <= p_now
            ORDER BY v.dead_at LIMIT p_batch)
        FOR UPDATE SKIP LOCKED);
    IF cardinality(found_rows) > 0 THEN
        variants := ARRAY(
            SELECT v.id FROM http_cache.variant v WHERE v.resource = ANY (found_rows) AND v.dead_at <= p_now);
        UPDATE http_cache.body b SET gone_at = v.dead_at + p_grace FROM http_cache.variant v
        WHERE v.id = ANY (variants) AND b.id = v.stored AND b.gone_at IS NULL;
        PERFORM http_cache.drop_variants(variants, p_now);
        entries := cardinality(variants);
        changed := entries + http_cache.drop_empty(found_rows);
    END IF;

    -- Bodies that were begun and never committed, in whichever namespace of that name.
    UPDATE http_cache.body SET gone_at = p_now WHERE id IN (
        SELECT b.id FROM http_cache.namespace s
        JOIN http_cache.body b ON b.namespace = s.id AND NOT b.committed AND b.gone_at IS NULL
            AND b.began_at < p_began_before
        WHERE s.name = p_namespace LIMIT p_batch FOR UPDATE OF b SKIP LOCKED);
    GET DIAGNOSTICS count_of = ROW_COUNT;
    changed := changed + count_of;

    -- Bodies whose time has come: their frames first, themselves when none are left.
    found_rows := ARRAY(
        SELECT b.id FROM http_cache.namespace s
        JOIN http_cache.body b ON b.namespace = s.id AND b.gone_at <= p_now
        WHERE s.name = p_namespace ORDER BY b.gone_at, b.id LIMIT p_batch FOR UPDATE OF b SKIP LOCKED);
    IF cardinality(found_rows) > 0 THEN
        DELETE FROM http_cache.frame f USING (
            SELECT g.body, g.n FROM http_cache.frame g WHERE g.body = ANY (found_rows) LIMIT p_frames) gone
        WHERE f.body = gone.body AND f.n = gone.n;
        GET DIAGNOSTICS count_of = ROW_COUNT;
        changed := changed + count_of;
        DELETE FROM http_cache.body b WHERE b.id = ANY (found_rows)
            AND NOT EXISTS (SELECT 1 FROM http_cache.frame f WHERE f.body = b.id);
        GET DIAGNOSTICS bodies = ROW_COUNT;
        changed := changed + bodies;
    END IF;

    -- Tombstones. A resource that has variants again keeps its generation.
    found_rows := ARRAY(
        SELECT r.id FROM http_cache.resource r WHERE r.namespace = space AND r.tombstone_until <= p_now
        LIMIT p_batch FOR UPDATE SKIP LOCKED);
    IF cardinality(found_rows) > 0 THEN
        UPDATE http_cache.resource SET tombstone_until = NULL WHERE id = ANY (found_rows);
        PERFORM http_cache.drop_empty(found_rows);
        changed := changed + cardinality(found_rows);
    END IF;
    DELETE FROM http_cache.tag_tombstone t USING (
        SELECT d.namespace, d.tag FROM http_cache.tag_tombstone d WHERE d.namespace = space
            AND d.until <= p_now LIMIT p_batch FOR UPDATE SKIP LOCKED) dead
    WHERE t.namespace = dead.namespace AND t.tag = dead.tag;
    GET DIAGNOSTICS count_of = ROW_COUNT;
    changed := changed + count_of;
    DELETE FROM http_cache.lease l USING (
        SELECT d.namespace, d.key FROM http_cache.lease d WHERE d.namespace = space
            AND d.until <= p_now AND d.uncacheable_until <= p_now LIMIT p_batch FOR UPDATE SKIP LOCKED) dead
    WHERE l.namespace = dead.namespace AND l.key = dead.key;
    GET DIAGNOSTICS count_of = ROW_COUNT;
    changed := changed + count_of;

    changed := changed + http_cache.sweep_cleared(p_namespace, p_grace, p_batch);
END $$;

-- Deletes what a `clear` left behind; nobody but the sweep looks there. Bodies that were being written go with
-- the other pending ones: their writers learn from the commit.
CREATE FUNCTION http_cache.sweep_cleared(p_namespace text, p_grace bigint, p_batch bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    space record;
    variants bigint[];
    total bigint := 0;
    count_of bigint;
BEGIN
    FOR space IN SELECT s.id, s.cleared_at FROM http_cache.namespace s
        WHERE s.name = p_namespace AND s.cleared_at IS NOT NULL ORDER BY s.id LIMIT 8
        FOR UPDATE SKIP LOCKED
    LOOP
        variants := ARRAY(
            SELECT v.id FROM http_cache.variant v WHERE v.namespace = space.id LIMIT p_batch);
        PERFORM http_cache.drop_variants(variants, space.cleared_at + p_grace);
        total := total + cardinality(variants);
        IF cardinality(variants) = p_batch THEN
            RETURN total;
        END IF;
        DELETE FROM http_cache.resource WHERE id IN (
            SELECT r.id FROM http_cache.resource r WHERE r.namespace = space.id LIMIT p_batch);
        GET DIAGNOSTICS count_of = ROW_COUNT;
        total := total + count_of;
        IF count_of = p_batch THEN
            RETURN total;
        END IF;
        DELETE FROM http_cache.tag_tombstone WHERE namespace = space.id;
        DELETE FROM http_cache.lease WHERE namespace = space.id;
        DELETE FROM http_cache.namespace s WHERE s.id = space.id
            AND NOT EXISTS (SELECT 1 FROM http_cache.body b
                WHERE b.namespace = s.id AND NOT b.committed AND b.gone_at IS NULL)
            AND NOT EXISTS (SELECT 1 FROM http_cache.body b WHERE b.namespace = s.id AND b.gone_at IS NOT NULL);
        GET DIAGNOSTICS count_of = ROW_COUNT;
        total := total + count_of;
    END LOOP;
    RETURN total;
END $$;
