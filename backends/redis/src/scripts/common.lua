-- What the scripts share; it stands before each of them.
--
-- A shard has a state (hash), an index of its variants and one of their tags (sorted sets by name), a list
-- of bodies that are due to be deleted (sorted set by time), a hash a resource, a hash a stored body. Numbers
-- are milliseconds since 1970, or counts: below 2^53, where Lua's are exact.

-- The largest encoded head, and the largest encoded inline body.
local HEAD_MAX, INLINE_MAX = 1048576, 135168

local function num(n) return string.format('%.0f', n) end

-- Takes out of the way what another program put in the place of our key.
local function mend(key, want)
  local found = redis.call('TYPE', key).ok
  if found ~= want and found ~= 'none' then redis.call('UNLINK', key) end
end

-- The state of a shard; nil where there is none, or garbage.
--   e: its epoch, random. n: how many removals there were in it. f: a ticket below that is refused.
--   i: the incarnation of the tag index. x: when its keys expire. c, k: where tidying stands.
--   r<key>, t<tag>: at which removal a resource or tag was removed last.
local function state_of(key)
  local s = redis.pcall('HMGET', key, 'e', 'n', 'f', 'i', 'x')
  if s.err or not s[1] or #s[1] ~= 16 then return nil end
  local n, x = tonumber(s[2]), tonumber(s[5])
  if not n or not x then return nil end
  return { key = key, e = s[1], n = n, f = tonumber(s[3] or '0') or n, i = s[4] or '0', x = x }
end

-- Moves the expiry of the shard's keys on to `at` at least.
local function last_until(s, at, ...)
  if at > s.x then
    s.x = at
    redis.call('HSET', s.key, 'x', num(at))
  end
  redis.call('PEXPIREAT', s.key, num(s.x))
  for _, key in ipairs({ ... }) do redis.call('PEXPIREAT', key, num(s.x)) end
end

-- Refuses from now on what looked up before and has one of these marks. The marks are bounded: where there
-- are too many, they go, and all that looked up before is refused.
local function mark(s, names, most)
  s.n = s.n + 1
  redis.call('HSET', s.key, 'n', num(s.n))
  for _, name in ipairs(names) do redis.call('HSET', s.key, name, num(s.n)) end
  if redis.call('HLEN', s.key) > most then
    s.f = s.n
    redis.call('HSET', s.key, 'f', num(s.n))
    for _, name in ipairs(redis.call('HKEYS', s.key)) do
      if #name > 1 then redis.call('HDEL', s.key, name) end
    end
  end
end

-- A variant as the field m<variant> holds it; nil where that is garbage.
--   at: the removals that there were when its body was stored. i: the tag index's incarnation, 0 without tags.
local function variant_of(id, meta)
  if not meta then return nil end
  local body, head, kind, frames, len, stored, dead, limit, at, i, tags =
    string.match(meta, '^(%x+) (%d+) ([is]) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%x*)$')
  if not body or #body ~= 32 or #tags % 32 ~= 0 or tonumber(frames) == 0 then return nil end
  return { id = id, body = body, head = head, kind = kind, frames = tonumber(frames), len = tonumber(len),
    stored = tonumber(stored), dead = tonumber(dead), limit = tonumber(limit), at = tonumber(at), i = i,
    tags = tags, meta = meta }
end

-- How often a variant was used, as the field u<variant> holds it: 0 where it has none, or garbage.
local function uses_of(text)
  if not text or #text > 16 or not string.match(text, '^%d+$') then return 0 end
  return tonumber(text)
end

-- Whether a lookup may return it.
local function is_live(s, v, now)
  return v.dead > now and (v.i == '0' or v.i == s.i)
end

-- Whether head and body are there as they were written, and not too large to answer with: the server may have
-- evicted a stored body, and another program written to it.
local function is_whole(resource, bodies, v)
  local head = redis.call('HSTRLEN', resource, 'h' .. v.id)
  if head == 0 or head > HEAD_MAX then return false end
  if v.kind == 's' then return redis.pcall('HLEN', bodies .. v.body) == v.frames + 1 end
  local body = redis.call('HSTRLEN', resource, 'b' .. v.id)
  return body > 0 and body <= INLINE_MAX
end

-- The variants of a resource by id, `false` for garbage, and how many are garbage; nil where the key itself is
-- garbage. Those of another epoch, which are out of sight, come third.
local function variants_of(s, resource)
  local fields = redis.pcall('HLEN', resource)
  if type(fields) ~= 'number' or fields > 320 then return nil, 1 end
  if fields == 0 then return {}, 0 end
  local names, wanted = {}, { 'e' }
  for _, name in ipairs(redis.call('HKEYS', resource)) do
    if #name == 33 and string.sub(name, 1, 1) == 'm' then
      names[#names + 1] = string.sub(name, 2)
      wanted[#wanted + 1] = name
    end
  end
  local found = redis.call('HMGET', resource, unpack(wanted))
  local all, garbage = {}, 0
  for index, id in ipairs(names) do
    local v = variant_of(id, found[index + 1])
    if not v then garbage = garbage + 1 end
    all[id] = v or false
  end
  if s and found[1] == s.e then return all, garbage end
  return {}, (found[1] and #found[1] == 16) and 0 or 1, all
end

-- Keeps a stored body for its readers until `gone`, and no longer.
local function retire(c, body)
  local key = c.bodies .. body
  local len = redis.pcall('HLEN', key)
  if type(len) == 'number' and len > 0 then
    redis.call('HSET', key, 's', 'r')
    redis.call('PEXPIREAT', key, num(c.gone + c.skew))
    redis.call('ZADD', c.due, num(c.gone), body)
  end
end

local function retire_all(c, variants)
  for _, v in pairs(variants or {}) do
    if v and v.kind == 's' then retire(c, v.body) end
  end
end

local function untag(c, key, v)
  for at = 1, #v.tags, 32 do redis.call('ZREM', c.tagged, string.sub(v.tags, at, at + 31) .. key .. v.id) end
end

-- Drops a variant; `v` is false where it is garbage.
local function drop(c, key, id, v)
  local resource = c.resources .. key
  redis.call('HDEL', resource, 'm' .. id, 'h' .. id, 'b' .. id, 'u' .. id)
  redis.call('ZREM', c.index, key .. id)
  if v then
    untag(c, key, v)
    if v.kind == 's' then retire(c, v.body) end
  end
end

-- Deletes a resource in which nothing is left but its epoch.
local function close(c, key)
  local resource = c.resources .. key
  if redis.call('HLEN', resource) <= 1 then redis.call('DEL', resource) end
end

-- The variant that an index names; nil and whether its resource is of this epoch where it is not there.
local function indexed(c, s, key, id)
  local found = redis.pcall('HMGET', c.resources .. key, 'e', 'm' .. id)
  if found.err or found[1] ~= s.e then return nil end
  return variant_of(id, found[2])
end
