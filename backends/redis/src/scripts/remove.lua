-- Removes a resource, or only the variant of one version. Returns how many live variants went.
-- KEYS: resource, state, index, tag index, due.
local c = { resources = ARGV[1], bodies = ARGV[2], index = KEYS[3], tagged = KEYS[4], due = KEYS[5],
  gone = tonumber(ARGV[5]), skew = tonumber(ARGV[6]) }
local key, now, memory, most = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[7]), tonumber(ARGV[8])
local body, counter, channel, event = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
-- Also where nothing is there: others may have a copy of what was.
redis.call('PUBLISH', channel, event)
local s = state_of(KEYS[2])
local variants, _, stale = variants_of(s, KEYS[1])
local removed = 0
if body ~= '' then
  for id, v in pairs(variants or {}) do
    if v and v.body == body and v.head == counter then
      if is_live(s, v, now) then removed = removed + 1 end
      mend(KEYS[5], 'zset')
      drop(c, key, id, v)
      close(c, key)
    end
  end
  if s then last_until(s, now + memory, KEYS[5]) end
  return removed
end
-- Deleting comes first: it needs no room, and what follows is then done on a full server too.
redis.call('UNLINK', KEYS[1])
-- Without a state no ticket is out, and nothing is in sight.
if not s then return 0 end
mend(KEYS[3], 'zset')
mend(KEYS[4], 'zset')
mend(KEYS[5], 'zset')
retire_all(c, stale)
mark(s, { 'r' .. key }, most)
for id, v in pairs(variants or {}) do
  if v and is_live(s, v, now) then removed = removed + 1 end
  redis.call('ZREM', KEYS[3], key .. id)
  if v then
    untag(c, key, v)
    if v.kind == 's' then retire(c, v.body) end
  end
end
last_until(s, now + memory, KEYS[5])
return removed
