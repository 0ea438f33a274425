-- A row that is being written is passed over and returned: to wait for several could end in a deadlock.
WITH used AS (
    SELECT u.key, u.variant, max(u.at) AS at, count(*) AS uses
    FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS u (key, variant, at) GROUP BY u.key, u.variant
), known AS (
    SELECT v.id, used.at, used.uses FROM used
    JOIN http_cache.namespace s ON s.name = $1 AND s.cleared_at IS NULL
    JOIN http_cache.resource r ON r.namespace = s.id AND r.key = used.key
    JOIN http_cache.variant v ON v.resource = r.id AND v.variant = used.variant
), free AS (
    SELECT v.id FROM http_cache.variant v WHERE v.id IN (SELECT known.id FROM known)
    FOR NO KEY UPDATE SKIP LOCKED
), touched AS (
    UPDATE http_cache.variant v SET used_at = greatest(v.used_at, known.at), uses = v.uses + known.uses
    FROM known JOIN free ON free.id = known.id WHERE v.id = known.id
)
SELECT known.id, known.at, known.uses FROM known WHERE known.id NOT IN (SELECT free.id FROM free)
