-- Does once what the storage will do, to find out at once what it may not. KEYS: a hash, a sorted set.
-- ARGV: a channel that nobody listens to.
-- The expiry is any far one: both are deleted before the end.
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('PUBLISH', ARGV[1], '')
redis.call('HSET', KEYS[1], 'a', '1', 'b', '2')
redis.call('HDEL', KEYS[1], 'b')
redis.call('PEXPIREAT', KEYS[1], '4102444800000')
local found = { redis.call('HGET', KEYS[1], 'a'), redis.call('HLEN', KEYS[1]), redis.call('HSTRLEN', KEYS[1], 'a') }
redis.call('HKEYS', KEYS[1])
redis.call('HMGET', KEYS[1], 'a')
redis.call('TYPE', KEYS[1])
redis.call('EXISTS', KEYS[1])
redis.call('TOUCH', KEYS[1])
redis.call('UNLINK', KEYS[1])
redis.call('ZADD', KEYS[2], 0, 'a')
redis.call('PEXPIREAT', KEYS[2], '4102444800000')
redis.call('ZSCORE', KEYS[2], 'a')
redis.call('ZRANGEBYLEX', KEYS[2], '-', '+', 'LIMIT', 0, 1)
redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf', 'LIMIT', 0, 1)
redis.call('RENAME', KEYS[2], KEYS[1])
redis.call('ZREM', KEYS[1], 'a')
return found
