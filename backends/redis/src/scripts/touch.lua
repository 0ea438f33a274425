-- Tells the server that resources were used, and the stored bodies of their variants. KEYS: resources;
-- ARGV: the prefix of bodies, then a variant for each.
for index, resource in ipairs(KEYS) do
  local found = redis.pcall('HGET', resource, 'm' .. ARGV[index + 1])
  local v = type(found) == 'string' and variant_of('', found)
  if v then redis.call('TOUCH', resource, ARGV[1] .. v.body) end
end
return #KEYS
