-- Tells the server that resources were used, and the stored bodies of their variants, and counts these uses.
-- KEYS: resources; ARGV: the prefix of bodies, then a variant for each, and how often it was used.
for index, resource in ipairs(KEYS) do
  local id, count = ARGV[2 * index], tonumber(ARGV[2 * index + 1])
  local found = redis.pcall('HMGET', resource, 'm' .. id, 'u' .. id)
  local v = not found.err and variant_of(id, found[1])
  if v then
    redis.call('TOUCH', resource, ARGV[1] .. v.body)
    -- As large as Lua's numbers are exact.
    local uses = math.min(uses_of(found[2]) + count, 9007199254740991)
    local counted = redis.pcall('HSET', resource, 'u' .. id, num(uses))
    -- A full server counts nothing, and is told of uses for all that: it chooses by them.
    if type(counted) == 'table' and not string.find(counted.err, 'OOM', 1, true) then return counted end
  end
end
return #KEYS
