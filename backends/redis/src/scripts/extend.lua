-- Prolongs a lease that is still ours. KEYS: lease. ARGV: now, token, until, expiry.
local held = redis.pcall('HMGET', KEYS[1], 't', 'u')
if held[1] ~= ARGV[2] or (tonumber(held[2] or '') or 0) <= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'u', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return 1
