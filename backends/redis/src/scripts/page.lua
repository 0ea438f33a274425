-- A page of the names of a shard's index, or of those of a tag, and the name after which the next begins.
local function names_after(index, tagged, tag, after, page)
  local from, to = after == '' and '[0' or ('(' .. after), '(g'
  if tag ~= '' then
    index, to = tagged, '(' .. tag .. 'g'
    if after == '' then from = '[' .. tag end
  end
  local names = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, page)
  if names.err then return nil, '' end
  return names, #names == page and names[page] or ''
end
