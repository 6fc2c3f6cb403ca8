-- Writes in the books what became of messages, each once, however often it is called with them.
--
-- KEYS[1]  totals: HASH applied, dead, settled, replayed, foreign
-- KEYS[2]  what is marked: HASH "epoch-lane" -> "RIDES;FIRST-LAST,FIRST-LAST,...": rides in the messages that are marked,
--          then their numbers as ascending ranges, both ends included, neither touching nor overlapping
-- ARGV[1]  lines of messages that nobody of ours sent
-- ARGV[2]  those of them that are dead
-- ARGV[3..] for each lane life "epoch-lane" and how many of its messages follow; then for each message, by ascending number:
--          its number, its lines, those of them that are dead, and 1 for a dead letter that was sent again, else 0

-- All is read and checked before the first write, because a script that fails half-way is not rolled back.
for position = 1, 2 do
  local found = redis.call('TYPE', KEYS[position]).ok
  if found ~= 'none' and found ~= 'hash' then
    return redis.error_reply('BOOKS the key ' .. KEYS[position] .. ' holds a ' .. found .. ' instead of a hash')
  end
end

local totals = { settled = 0, replayed = 0, foreign = tonumber(ARGV[1]), dead = tonumber(ARGV[2]) }
local changed = {}
local at = 3
while at <= #ARGV do
  local life, messages = ARGV[at], tonumber(ARGV[at + 1])
  local rides, firsts, lasts = 0, {}, {}
  local before = redis.call('HGET', KEYS[2], life)
  if before then
    local split = string.find(before, ';', 1, true)
    rides = split and tonumber(string.sub(before, 1, split - 1))
    if not rides then
      return redis.error_reply('BOOKS the key ' .. KEYS[2] .. ' holds something else than marks of ' .. life)
    end
    for first, last in string.gmatch(string.sub(before, split + 1), '(%d+)-(%d+)') do
      firsts[#firsts + 1], lasts[#lasts + 1] = tonumber(first), tonumber(last)
    end
  end

  -- Ranges and numbers both ascend, and are merged into one list of ranges.
  local ends, starts, ranges, taken = {}, {}, 0, 1
  local function add(first, last)
    if ranges > 0 and first <= ends[ranges] + 1 then
      if last > ends[ranges] then ends[ranges] = last end
    else
      ranges = ranges + 1
      starts[ranges], ends[ranges] = first, last
    end
  end
  local is_changed = false
  for message = at + 2, at + 4 * messages - 2, 4 do
    local number = tonumber(ARGV[message])
    while firsts[taken] and firsts[taken] <= number do
      add(firsts[taken], lasts[taken])
      taken = taken + 1
    end
    if ranges == 0 or number > ends[ranges] then
      add(number, number)
      is_changed = true
      local lines, kind = tonumber(ARGV[message + 1]), ARGV[message + 3] == '1' and 'replayed' or 'settled'
      rides = rides + lines
      totals[kind] = totals[kind] + lines
      totals.dead = totals.dead + tonumber(ARGV[message + 2])
    end
  end
  while firsts[taken] do
    add(firsts[taken], lasts[taken])
    taken = taken + 1
  end
  if is_changed then
    for range = 1, ranges do
      starts[range] = string.format('%d-%d', starts[range], ends[range])
    end
    changed[#changed + 1] = life
    changed[#changed + 1] = string.format('%d;', rides) .. table.concat(starts, ',')
  end
  at = at + 2 + 4 * messages
end

if #changed > 0 then
  redis.call('HSET', KEYS[2], unpack(changed))
end
for total, by in pairs(totals) do
  if by > 0 then
    redis.call('HINCRBY', KEYS[1], total, string.format('%d', by))
  end
end
