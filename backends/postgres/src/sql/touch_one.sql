-- Waits for whoever writes the row. What waits for one alone, and holds none, is in no deadlock.
UPDATE http_cache.variant v SET used_at = greatest(v.used_at, $3), uses = v.uses + $4
WHERE v.id = $2 AND v.namespace IN (SELECT s.id FROM http_cache.namespace s WHERE s.name = $1)
