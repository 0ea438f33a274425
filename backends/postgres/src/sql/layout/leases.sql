-- Takes a lease that nobody holds, or says who has it. Those who wait ask often: they only read.
CREATE FUNCTION http_cache.acquire_lease(
    p_namespace text, p_key bytea, p_token bytea, p_until bigint, p_now bigint,
    OUT token bytea, OUT until bigint, OUT uncacheable_until bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    space bigint;
BEGIN
    SELECT s.id INTO space FROM http_cache.namespace s WHERE s.name = p_namespace AND s.cleared_at IS NULL;
    LOOP
        SELECT l.token, l.until, l.uncacheable_until INTO token, until, uncacheable_until
        FROM http_cache.lease l WHERE l.namespace = space AND l.key = p_key;
        EXIT WHEN FOUND AND (until > p_now OR uncacheable_until > p_now);
        -- Only over one that has ended; who was second finds nothing changed, and reads again.
        INSERT INTO http_cache.lease AS l (namespace, key, token, until, uncacheable_until)
        SELECT space, p_key, p_token, p_until, p_now WHERE space IS NOT NULL
        ON CONFLICT ON CONSTRAINT lease_pkey DO UPDATE SET token = excluded.token, until = excluded.until,
            uncacheable_until = excluded.uncacheable_until
        WHERE l.until <= p_now AND l.uncacheable_until <= p_now;
        IF FOUND OR space IS NULL THEN
            token := p_token;
            until := p_until;
            uncacheable_until := p_now;
            RETURN;
        END IF;
    END LOOP;
END $$;
