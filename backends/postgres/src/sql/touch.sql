-- A row that is being written is passed over: whoever writes it records a use.
WITH used AS (
    SELECT u.key, u.variant, max(u.at) AS at
    FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS u (key, variant, at) GROUP BY u.key, u.variant
), touched AS (
    SELECT v.id, used.at FROM used
    JOIN http_cache.namespace s ON s.name = $1 AND s.cleared_at IS NULL
    JOIN http_cache.resource r ON r.namespace = s.id AND r.key = used.key
    JOIN http_cache.variant v ON v.resource = r.id AND v.variant = used.variant AND v.used_at < used.at
    FOR NO KEY UPDATE OF v SKIP LOCKED
)
UPDATE http_cache.variant v SET used_at = touched.at FROM touched WHERE v.id = touched.id
