-- Appends a frame to a body under way. KEYS: body, due, state.
local n, expiry, len = tonumber(ARGV[1]), tonumber(ARGV[4]), redis.pcall('HLEN', KEYS[1])
if n == 0 and len ~= 0 then return 'used' end
if n > 0 and (len ~= n + 1 or redis.call('HGET', KEYS[1], 's') ~= 'p') then return 'gone' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], 's', 'p')
redis.call('PEXPIREAT', KEYS[1], num(expiry))
if n == 0 then
  local s = state_of(KEYS[3])
  mend(KEYS[2], 'zset')
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[5])
  redis.call('PEXPIREAT', KEYS[2], num(math.max(expiry, s and s.x or 0)))
end
return 'ok'
