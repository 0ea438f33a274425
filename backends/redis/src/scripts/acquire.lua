-- Takes a lease if nobody holds a live one. KEYS: lease. ARGV: now, token, until, expiry.
local now = tonumber(ARGV[1])
local held = redis.pcall('HMGET', KEYS[1], 'u', 'n')
local till, uncacheable = tonumber(held[1] or ''), tonumber(held[2] or '')
if uncacheable and uncacheable > now then return { 'uncacheable', num(uncacheable) } end
if till and till > now then return { 'busy', num(till) } end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 't', ARGV[2], 'u', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return { 'held', '0' }
