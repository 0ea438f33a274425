-- Purges the entries of a shard that have any of these tags: the first call marks the tags, and each takes
-- a page. KEYS: state, index, tag index, due. Returns: live entries purged, the call's number, where to go
-- on (a tag's number and a name), or nothing more when it is done.
local c = { resources = ARGV[1], bodies = ARGV[2], index = KEYS[2], tagged = KEYS[3], due = KEYS[4],
  gone = tonumber(ARGV[4]), skew = tonumber(ARGV[5]) }
local now, memory, most, page = tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local tags, first, at, after = ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
local s = state_of(KEYS[1])
-- Without a state no ticket is out, and nothing is in sight.
if not s then return { 0 } end
-- A write that needs no room: what follows is done on a full server too.
redis.call('PEXPIREAT', KEYS[1], num(s.x))
if first < 0 then
  mend(KEYS[2], 'zset')
  mend(KEYS[3], 'zset')
  mend(KEYS[4], 'zset')
  local marks = {}
  for from = 1, #tags, 32 do marks[#marks + 1] = 't' .. string.sub(tags, from, from + 31) end
  mark(s, marks, most)
  first = s.n
  if s.i ~= '0' and not redis.call('ZSCORE', KEYS[3], '!' .. s.i) then
    -- The server evicted the tag index: what only it knew is out of sight from now on.
    redis.call('HSET', KEYS[1], 'i', num(tonumber(s.i) + 1))
    last_until(s, now + memory)
    return { 0 }
  end
end
local purged, moved = 0, {}
while at < #tags and page > 0 do
  local tag = string.sub(tags, at + 1, at + 32)
  local from = after == '' and ('[' .. tag) or ('(' .. after)
  local names = redis.call('ZRANGEBYLEX', KEYS[3], from, '(' .. tag .. 'g', 'LIMIT', 0, page)
  for _, name in ipairs(names) do
    local key, id = string.sub(name, 33, 96), string.sub(name, 97)
    local v = indexed(c, s, key, id)
    if not v then
      redis.call('ZREM', KEYS[3], name)
    elseif v.at < first then
      -- Later ones were looked up after the purge began.
      if is_live(s, v, now) then purged = purged + 1 end
      drop(c, key, id, v)
      close(c, key)
      moved[#moved + 1] = 'r' .. key
    end
  end
  if #names < page then
    at, after = at + 32, ''
  else
    after = names[#names]
  end
  page = page - #names
end
if #moved > 0 then mark(s, moved, most) end
last_until(s, now + memory, KEYS[4])
if at < #tags then return { purged, num(first), at, after } end
return { purged }
