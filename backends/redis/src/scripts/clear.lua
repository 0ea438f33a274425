-- Clears a shard: the first call puts all of it out of sight by a new epoch, and each takes a page of what is
-- left. KEYS: state, index, tag index, due, the index being cleared. Returns: live entries gone, and the
-- incarnation of the old tag index where there is more.
local c = { resources = ARGV[1], bodies = ARGV[2], index = KEYS[5], tagged = KEYS[3], due = KEYS[4],
  gone = tonumber(ARGV[4]), skew = tonumber(ARGV[5]) }
local now, memory, page, epoch, old = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
local s = state_of(KEYS[1])
if old == '' then
  -- Without a state no ticket is out, and nothing is in sight.
  if not s then return { 0 } end
  redis.call('UNLINK', KEYS[3])
  redis.call('DEL', KEYS[1], KEYS[5])
  mend(KEYS[2], 'zset')
  mend(KEYS[4], 'zset')
  redis.call('HSET', KEYS[1], 'e', epoch, 'n', '0', 'x', num(s.x))
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[5]) end
  last_until(s, now + memory, KEYS[5])
  s.e, old = epoch, s.i
end
local names = redis.call('ZRANGEBYLEX', KEYS[5], '-', '+', 'LIMIT', 0, page)
local gone = 0
for _, name in ipairs(names) do
  local key, id = string.sub(name, 1, 64), string.sub(name, 65)
  local found = redis.pcall('HMGET', c.resources .. key, 'e', 'm' .. id)
  if not found.err and found[1] and not (s and found[1] == s.e) then
    local v = variant_of(id, found[2])
    if v and is_live({ i = old }, v, now) then gone = gone + 1 end
    redis.call('HDEL', c.resources .. key, 'm' .. id, 'h' .. id, 'b' .. id, 'u' .. id)
    if v and v.kind == 's' then retire(c, v.body) end
    close(c, key)
  end
  redis.call('ZREM', KEYS[5], name)
end
if s then redis.call('PEXPIREAT', KEYS[4], num(math.max(s.x, now + memory))) end
if #names < page then return { gone } end
return { gone, old }
