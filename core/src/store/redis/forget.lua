-- Removes the books of lane lives that ended, where all that was confirmed of them is marked, and says of how many. One that
-- has no book is gone already, and counts.
--
-- KEYS[1]  what is marked; see settle.lua
-- ARGV     "epoch-lane", the highest number that was confirmed, "epoch-lane", ...

local whole = {}
for at = 1, #ARGV, 2 do
  local book = redis.call('HGET', KEYS[1], ARGV[at])
  -- Without a gap, what is marked begins with one range from 1 on.
  local last = book and string.match(book, '^%d+;1%-(%d+)')
  if not book or last and tonumber(last) >= tonumber(ARGV[at + 1]) then
    whole[#whole + 1] = ARGV[at]
  end
end
if #whole > 0 then
  redis.call('HDEL', KEYS[1], unpack(whole))
end
return #whole
