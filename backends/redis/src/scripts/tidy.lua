-- A little tidying with each commit, so that nothing needs a sweeper: more than the commit added.

-- The next names of an index, from where the last tidying stopped.
local function next_names(s, index, field, count)
  local from = redis.call('HGET', s.key, field)
  local names = redis.call('ZRANGEBYLEX', index, from and ('(' .. from) or '-', '+', 'LIMIT', 0, count)
  if #names < count then
    if from then redis.call('HDEL', s.key, field) end
  else
    redis.call('HSET', s.key, field, names[count])
  end
  return names
end

local function tidy(c, s, now, tags)
  for _, body in ipairs(redis.call('ZRANGEBYSCORE', c.due, '-inf', num(now), 'LIMIT', 0, 4)) do
    redis.call('UNLINK', c.bodies .. body)
    redis.call('ZREM', c.due, body)
  end
  for _, name in ipairs(next_names(s, c.index, 'c', 3)) do
    local key, id = string.sub(name, 1, 64), string.sub(name, 65)
    local v = indexed(c, s, key, id)
    if not v then
      redis.call('ZREM', c.index, name)
    elseif not is_live(s, v, now) then
      drop(c, key, id, v)
      close(c, key)
    end
  end
  if tags == 0 then return end
  for _, name in ipairs(next_names(s, c.tagged, 'k', tags + 2)) do
    if string.sub(name, 1, 1) ~= '!' then
      local v = indexed(c, s, string.sub(name, 33, 96), string.sub(name, 97))
      local there = false
      for at = 1, v and #v.tags or 0, 32 do
        there = there or string.sub(v.tags, at, at + 31) == string.sub(name, 1, 32)
      end
      if not there then redis.call('ZREM', c.tagged, name) end
    elseif name ~= '!' .. s.i then
      redis.call('ZREM', c.tagged, name)
    end
  end
end
