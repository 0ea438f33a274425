-- A page of the live entries of a shard: by its index, or by the tag index where a tag is named.
-- KEYS: state, index, tag index. Returns: where to go on (or ''), garbage, then key, variant, meta, head, uses of each.
local now, before, page = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local c, tag, after = { resources = ARGV[1] }, ARGV[5], ARGV[6]
local s = state_of(KEYS[1])
if not s then return { '', 0 } end
local names, next_after = names_after(KEYS[2], KEYS[3], tag, after, page)
if not names then return { '', 1 } end
local reply = { next_after, 0 }
for _, name in ipairs(names) do
  local key, id = string.sub(name, #tag + 1, #tag + 64), string.sub(name, #tag + 65)
  local v = indexed(c, s, key, id)
  if v and is_live(s, v, now) and v.stored < before then
    local size = redis.call('HSTRLEN', c.resources .. key, 'h' .. id)
    if size > 0 and size <= HEAD_MAX then
      local at = #reply
      local kept = redis.call('HMGET', c.resources .. key, 'h' .. id, 'u' .. id)
      reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4], reply[at + 5] =
        key, id, v.meta, kept[1], num(uses_of(kept[2]))
    else
      reply[2] = reply[2] + 1
    end
  end
end
return reply
