-- Gives a lease back if it is ours, and leaves word until when its resource is uncacheable (0: it may be
-- cacheable). KEYS: lease. ARGV: token, uncacheable until, expiry.
local held = redis.pcall('HGET', KEYS[1], 't')
if held ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '0' then
  redis.call('HSET', KEYS[1], 'n', ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
end
return 1
