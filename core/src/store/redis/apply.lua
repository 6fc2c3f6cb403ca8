-- Stores rides of one resort day, each at most once, however often it is called with them.
--
-- KEYS[1]  ledger of the day: HASH skier -> packed rides, 3 bytes each (minute << 10 | lift, big endian). The field 0 is there while
--          the day is closed, because it is archived or about to be: no ride is added then
-- KEYS[2]  counters of the day: STRING of u32 (0 rides, 1 duplicates, 2..25 hours, 26.. lifts 1..)
-- KEYS[3]  the books' totals: HASH, of which "applied" counts the new rides
-- ARGV[1]  copies of rides that the caller dropped already, for the duplicates' counter
-- ARGV[2]  most bytes of one skier's day
-- ARGV[3..] skier, packed rides, skier, packed rides, ... (at most 1,000 skiers, no copies within one skier)
--
-- Returns { new rides, duplicates, { positions of skiers to index }, { position, refused rides, ... }, whether the day is closed };
-- positions count skiers from 1. To index are the skiers that are new on this day, and those with duplicates: a duplicate may be the
-- trace of a call after which the caller died before it wrote the indexes.

-- All types are checked before the first write, because a script that fails half-way is not rolled back.
for position, expected in ipairs({ 'hash', 'string' }) do
  local found = redis.call('TYPE', KEYS[position]).ok
  if found ~= 'none' and found ~= expected then
    return redis.error_reply('WRONGTYPE the key ' .. KEYS[position] .. ' holds a ' .. found .. ' instead of a ' .. expected)
  end
end

local books = redis.call('TYPE', KEYS[3]).ok
if books ~= 'none' and books ~= 'hash' then
  -- Another code than that of a day's own keys: the rides are not to blame.
  return redis.error_reply('BOOKS the key ' .. KEYS[3] .. ' holds a ' .. books .. ' instead of a hash')
end

local byte, find, sub, floor = string.byte, string.find, string.sub, math.floor
local dropped, most = tonumber(ARGV[1]), tonumber(ARGV[2])

local skiers = {}
for position = 1, (#ARGV - 2) / 2 do
  skiers[position] = ARGV[2 * position + 1]
end
local stored = redis.call('HMGET', KEYS[1], '0', unpack(skiers))
local closed = stored[1]

-- Whether the ride stands in the list, at a multiple of three bytes.
local function contains(list, ride)
  local at = find(list, ride, 1, true)
  while at and (at - 1) % 3 ~= 0 do
    at = find(list, ride, at + 1, true)
  end
  return at ~= nil
end

local new, duplicates = 0, 0
local to_index, refused, fields, counts = {}, {}, {}, {}

for position, skier in ipairs(skiers) do
  local before = stored[position + 1] or ''
  local rides = ARGV[2 * position + 2]
  local added, added_bytes, doubled, too_many = {}, 0, 0, {}
  for at = 1, #rides, 3 do
    local ride = sub(rides, at, at + 2)
    if contains(before, ride) then
      doubled = doubled + 1
    elseif closed or #before + added_bytes >= most then
      too_many[#too_many + 1] = ride
    else
      added[#added + 1] = ride
      added_bytes = added_bytes + 3
      local high, middle, low = byte(ride, 1, 3)
      local minute = high * 64 + floor(middle / 4)
      local hour_at = 2 + floor((minute - 1) / 60)
      local lift_at = 25 + (middle % 4) * 256 + low
      counts[hour_at] = (counts[hour_at] or 0) + 1
      counts[lift_at] = (counts[lift_at] or 0) + 1
    end
  end
  if #added > 0 then
    fields[#fields + 1] = skier
    fields[#fields + 1] = before .. table.concat(added)
    new = new + #added
  end
  if doubled > 0 or (before == '' and #added > 0) then
    to_index[#to_index + 1] = position
  end
  if #too_many > 0 then
    refused[#refused + 1] = position
    refused[#refused + 1] = table.concat(too_many)
  end
  duplicates = duplicates + doubled
end

if #fields > 0 then
  redis.call('HSET', KEYS[1], unpack(fields))
end
if new > 0 then
  counts[0] = new
  redis.call('HINCRBY', KEYS[3], 'applied', new)
end
if duplicates + dropped > 0 then counts[1] = duplicates + dropped end

local increments, last = { 'OVERFLOW', 'SAT' }, 2
for at, count in pairs(counts) do
  -- Redis formats a number with 17 digits of precision, which takes longer than the increment. Most counts are 1.
  local by = count == 1 and '1' or count
  increments[last + 1], increments[last + 2], increments[last + 3], increments[last + 4] = 'INCRBY', 'u32', '#' .. at, by
  last = last + 4
end
if last > 2 then
  redis.call('BITFIELD', KEYS[2], unpack(increments))
end

return { new, duplicates, to_index, refused, closed and 1 or 0 }
