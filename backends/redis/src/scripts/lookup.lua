-- The live variants of a resource, and what its ticket needs.
-- KEYS: resource, state. ARGV: now, a new epoch, max_write, how long removals are remembered (ms), the bounds of a
-- head, of an encoded inline body, of all inline bodies, the prefix of bodies.
-- Returns: epoch, removals, garbage, then variant, meta, head, inline body of each.
local now, max_write, memory = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local head_max, inline_max, inline_left = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local s = state_of(KEYS[2])
if not s then
  -- Without one there can be no ticket, and what the shard holds is out of sight.
  redis.call('DEL', KEYS[2])
  local made = redis.pcall('HSET', KEYS[2], 'e', ARGV[2], 'n', '0', 'x', num(now + memory))
  if type(made) == 'table' then
    if string.find(made.err, 'OOM', 1, true) then return { '', '0', 0 } end
    return made
  end
  redis.call('PEXPIREAT', KEYS[2], num(now + memory))
  return { ARGV[2], '0', 0 }
end
if s.x < now + max_write then last_until(s, now + memory) end
local variants, garbage = variants_of(s, KEYS[1])
local reply = { s.e, num(s.n), garbage }
for id, v in pairs(variants or {}) do
  if v and is_live(s, v, now) and is_whole(ARGV[8], v) then
    local head, inline = 'h' .. id, 'b' .. id
    local size = redis.call('HSTRLEN', KEYS[1], head)
    local sound, body = size > 0 and size <= head_max, false
    if v.kind == 'i' then
      local bytes = redis.call('HSTRLEN', KEYS[1], inline)
      sound = sound and bytes > 0 and bytes <= inline_max
      if sound and v.len <= inline_left then
        inline_left = inline_left - v.len
        body = redis.call('HGET', KEYS[1], inline)
      end
    end
    if sound then
      local at = #reply
      reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] =
        id, v.meta, redis.call('HGET', KEYS[1], head), body
    else
      garbage = garbage + 1
    end
  end
end
reply[3] = garbage
return reply
