-- Some frames of a body, all or none; an inline body lies in its resource. KEYS: body, resource.
local body, from, to, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local len = redis.pcall('HLEN', KEYS[1])
if type(len) ~= 'number' then return {} end
if len > 0 then
  local names = {}
  for n = from, to - 1 do
    names[#names + 1] = num(n)
    if redis.call('HSTRLEN', KEYS[1], num(n)) > most then return {} end
  end
  return redis.call('HMGET', KEYS[1], unpack(names))
end
if from ~= 0 or to ~= 1 then return {} end
local variants, _, stale = variants_of(nil, KEYS[2])
for id, v in pairs(stale or variants or {}) do
  if v and v.kind == 'i' and v.body == body and redis.call('HSTRLEN', KEYS[2], 'b' .. id) <= most then
    return { redis.call('HGET', KEYS[2], 'b' .. id) }
  end
end
return {}
