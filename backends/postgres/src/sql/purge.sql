-- A batch of a purge. Others hear of each: until the last, a lookup may find what is to go.
SELECT p.resources, p.live, p.last, (SELECT count(pg_notify($8, n)::text) FROM unnest($9::text[]) AS n)
FROM http_cache.purge_tags($1, $2, $3, $4, $5, $6, $7) AS p
