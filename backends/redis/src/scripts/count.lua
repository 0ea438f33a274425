-- A page of the count of the live entries of a shard, as `list.lua`.
-- KEYS: state, index, tag index. Returns: where to go on (or ''), entries, bytes.
local now, before, page = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local c, tag, after = { resources = ARGV[1] }, ARGV[5], ARGV[6]
local s = state_of(KEYS[1])
if not s then return { '', 0, '0' } end
local names, next_after = names_after(KEYS[2], KEYS[3], tag, after, page)
local entries, bytes = 0, 0
for _, name in ipairs(names or {}) do
  local v = indexed(c, s, string.sub(name, #tag + 1, #tag + 64), string.sub(name, #tag + 65))
  if v and is_live(s, v, now) and v.stored < before then
    entries, bytes = entries + 1, bytes + v.len
  end
end
return { next_after, entries, num(bytes) }
