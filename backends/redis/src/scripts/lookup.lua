-- The live variants of a resource, and what its ticket needs.
-- KEYS: resource, state. ARGV: now, a new epoch, max_write, how long removals are remembered, the most bytes of
-- inline bodies, what the keys of bodies begin with.
-- Returns: epoch, removals, garbage, then variant, meta, head, inline body of each.
local now, max_write, memory = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local inline_left = tonumber(ARGV[5])
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
  if v and is_live(s, v, now) then
    if is_whole(KEYS[1], ARGV[6], v) then
      local body = false
      if v.kind == 'i' and v.len <= inline_left then
        inline_left = inline_left - v.len
        body = redis.call('HGET', KEYS[1], 'b' .. id)
      end
      local at = #reply
      reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] =
        id, v.meta, redis.call('HGET', KEYS[1], 'h' .. id), body
    elseif v.kind == 'i' or redis.pcall('HLEN', ARGV[6] .. v.body) ~= 0 then
      garbage = garbage + 1
    end
  end
end
reply[3] = garbage
return reply
