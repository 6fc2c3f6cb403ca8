-- Counts one resort day anew from its ledger, in one turn: no ride is stored meanwhile.
--
-- KEYS[1]  ledger of the day: HASH skier -> packed rides, 3 bytes each (minute << 10 | lift, big endian)
-- KEYS[2]  counters of the day: STRING of u32 (0 rides, 1 duplicates, 2..25 hours, 26.. lifts 1..)
--
-- A closed or archived day is left as it is.
--
-- Returns { counters as they were, counters as they are now }. The duplicates stay: no ledger tells them.

local byte, char, floor = string.byte, string.char, math.floor
local before = redis.call('GET', KEYS[2]) or ''
local ledger = redis.call('HGETALL', KEYS[1])
if #ledger == 0 and before == '' then
  return { '', '' }
end
if redis.call('HEXISTS', KEYS[1], '0') == 1 then
  return { before, before }
end

local counts, last = { [0] = 0 }, 25
for field = 2, #ledger, 2 do
  local rides = ledger[field]
  for at = 1, #rides, 3 do
    local high, middle, low = byte(rides, at, at + 2)
    local minute = low and high * 64 + floor(middle / 4) or 0
    local lift = low and (middle % 4) * 256 + low or 0
    if minute < 1 or minute > 1440 or lift < 1 or lift > 1000 then
      return redis.error_reply('CORRUPT the ledger of skier ' .. ledger[field - 1] .. ' holds what is no ride')
    end
    local hour_at, lift_at = 2 + floor((minute - 1) / 60), 25 + lift
    counts[0] = counts[0] + 1
    counts[hour_at] = (counts[hour_at] or 0) + 1
    counts[lift_at] = (counts[lift_at] or 0) + 1
    if lift_at > last then last = lift_at end
  end
end

local written = {}
for position = 0, last do
  local count = counts[position] or 0
  written[position + 1] = char(floor(count / 16777216) % 256, floor(count / 65536) % 256, floor(count / 256) % 256, count % 256)
end
if #before >= 8 then
  written[2] = before:sub(5, 8)
end
local after = table.concat(written)
redis.call('SET', KEYS[2], after)
return { before, after }
