-- Makes an entry visible, whole, or refuses. The rules are those of `cache_api::Record`.
-- KEYS: resource, state, index, tag index, due, the entry's body.
local c = { resources = ARGV[1], bodies = ARGV[2], index = KEYS[3], tagged = KEYS[4], due = KEYS[5],
  gone = tonumber(ARGV[5]), skew = tonumber(ARGV[6]) }
local key, now, keep, memory = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[7]), tonumber(ARGV[8])
local most, epoch, removals, saw = tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[11]), ARGV[12]
local id, kind, body, counter = ARGV[13], ARGV[14], ARGV[15], ARGV[16]
local frames, len, stored, dead, limit = tonumber(ARGV[17]), ARGV[18], tonumber(ARGV[19]), tonumber(ARGV[20]),
  tonumber(ARGV[21])
local tags, head, inline, channel, event = ARGV[22], ARGV[23], ARGV[24], ARGV[25], ARGV[26]

local s = state_of(KEYS[2])
if not s or s.e ~= epoch or removals < s.f then return { 'removed' } end
local marks = { 'r' .. key }
for at = 1, #tags, 32 do marks[#marks + 1] = 't' .. string.sub(tags, at, at + 31) end
for _, at in ipairs(redis.call('HMGET', KEYS[2], unpack(marks))) do
  if at and (tonumber(at) or removals + 1) > removals then return { 'removed' } end
end

local variants, _, stale = variants_of(s, KEYS[1])
local current = variants and variants[id]
local live = current and is_live(s, current, now) and is_whole(KEYS[1], c.bodies, current)
local at, was, keeps = num(s.n), '0', kind == 'k'
if keeps then
  if not live or current.body ~= body or current.head ~= counter then return { 'version' } end
  counter, kind, frames, len = num(tonumber(counter) + 1), current.kind, current.frames, num(current.len)
  limit, at, inline = current.limit, num(current.at), false
else
  -- The same commit again, after an answer that was lost.
  if live and current.body == body then return { 'stored', current.head, num(current.dead) } end
  if live and current.body ~= saw then return { 'replaced' } end
  if kind == 's' then
    inline = false
    if redis.pcall('HLEN', KEYS[6]) ~= frames + 1 or redis.call('HGET', KEYS[6], 's') ~= 'p' then
      return { 'gone' }
    end
  end
end

-- From here on it writes. What needs room comes first, so that a full server refuses the whole; and before that,
-- what the user may not be allowed. Others hear of it when the script is through.
redis.call('PUBLISH', channel, event)
if variants == nil then redis.call('UNLINK', KEYS[1]) end
mend(KEYS[3], 'zset')
mend(KEYS[4], 'zset')
mend(KEYS[5], 'zset')
if #tags > 0 then
  -- A tag index that the server evicted: what only it knew is out of sight from now on.
  if s.i == '0' or not redis.call('ZSCORE', KEYS[4], '!' .. s.i) then
    s.i = num(tonumber(s.i) + 1)
    redis.call('HSET', KEYS[2], 'i', s.i)
    redis.call('ZADD', KEYS[4], 0, '!' .. s.i)
  end
  was = s.i
end
if stale then
  redis.call('DEL', KEYS[1])
  retire_all(c, stale)
end
dead = math.min(dead, limit)
local meta = table.concat({ body, counter, kind, num(frames), len, num(stored), num(dead), num(limit), at, was,
  tags }, ' ')
redis.call('HSET', KEYS[1], 'e', s.e, 'm' .. id, meta, 'h' .. id, head)
if not keeps then redis.call('HDEL', KEYS[1], 'u' .. id) end
if inline then
  redis.call('HSET', KEYS[1], 'b' .. id, inline)
elseif kind == 's' then
  redis.call('HDEL', KEYS[1], 'b' .. id)
  redis.call('HSET', KEYS[6], 's', 'c')
  redis.call('PEXPIREAT', KEYS[6], num(dead + keep))
  redis.call('ZREM', KEYS[5], body)
end
if current then
  untag(c, key, current)
  if current.kind == 's' and current.body ~= body then retire(c, current.body) end
end
redis.call('ZADD', KEYS[3], 0, key .. id)
for from = 1, #tags, 32 do redis.call('ZADD', KEYS[4], 0, string.sub(tags, from, from + 31) .. key .. id) end

-- Dead ones go, and the oldest of too many.
local others, last = {}, dead
for other, v in pairs(variants or {}) do
  if other ~= id then
    if v and is_live(s, v, now) then others[#others + 1] = v else drop(c, key, other, v) end
  end
end
table.sort(others, function(a, b) return a.stored > b.stored end)
for index, v in ipairs(others) do
  if index >= most then drop(c, key, v.id, v) else last = math.max(last, v.dead) end
end
redis.call('PEXPIREAT', KEYS[1], num(last + keep))
last_until(s, math.max(last + keep, now + memory), KEYS[3], KEYS[4], KEYS[5])
tidy(c, s, now, #tags / 32)
return { 'stored', counter, num(dead) }
