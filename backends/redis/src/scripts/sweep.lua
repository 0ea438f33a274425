-- A page of sweeping a shard: bodies that are due, dead variants, names of what is not there any more.
-- KEYS: state, index, tag index, due. Returns: where to go on (or ''), entries, bodies.
local c = { resources = ARGV[1], bodies = ARGV[2], index = KEYS[2], tagged = KEYS[3], due = KEYS[4],
  gone = tonumber(ARGV[4]), skew = tonumber(ARGV[5]) }
local now, memory, page, after = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
mend(KEYS[4], 'zset')
local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', num(now), 'LIMIT', 0, page)
local bodies, entries = 0, 0
for _, body in ipairs(due) do
  bodies = bodies + redis.call('UNLINK', c.bodies .. body)
  redis.call('ZREM', KEYS[4], body)
end
local s = state_of(KEYS[1])
if not s then return { #due == page and '0' or '', 0, bodies } end
mend(KEYS[2], 'zset')
mend(KEYS[3], 'zset')
local names, next_after = names_after(KEYS[2], KEYS[3], '', after, page)
local changed = false
for _, name in ipairs(names) do
  local key, id = string.sub(name, 1, 64), string.sub(name, 65)
  local v = indexed(c, s, key, id)
  if not v then
    redis.call('ZREM', KEYS[2], name)
  elseif not is_live(s, v, now) then
    entries = entries + 1
    changed = true
    drop(c, key, id, v)
    close(c, key)
  end
end
if changed then last_until(s, now + memory, KEYS[4]) end
if next_after == '' and #due == page then next_after = 'g' end
return { next_after, entries, bodies }
