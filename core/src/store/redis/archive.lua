-- Closes a day, moves it to the archive, and opens it again.
--
-- KEYS[1]  ledger of the day, whose field 0 is its state: none (open), "closed", or what was archived, as JSON
-- KEYS[2]  archived days: HASH resort:season -> days, as in "1,2,17"
-- ARGV[1]  close, archive, reopen or open
-- ARGV[2]  resort:season
-- ARGV[3]  day
-- ARGV[4]  skiers that the ledger must have (archive, open)
-- ARGV[5]  what was archived, as JSON (archive)
--
-- Returns the state of the day, "open" for none and "empty" for a day without rides.

local step, season, day, skiers = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local function state()
  return redis.call('HGET', KEYS[1], '0') or redis.call('EXISTS', KEYS[1]) == 1 and 'open' or 'empty'
end

-- The list of the season's archived days, with or without this one.
local function list(is_archived)
  local days = {}
  for other in string.gmatch(redis.call('HGET', KEYS[2], season) or '', '%d+') do
    if other ~= day then days[#days + 1] = other end
  end
  if is_archived then days[#days + 1] = day end
  if #days == 0 then
    redis.call('HDEL', KEYS[2], season)
  else
    redis.call('HSET', KEYS[2], season, table.concat(days, ','))
  end
end

local before = state()
local has_all = skiers and redis.call('HLEN', KEYS[1]) == skiers + 1
if step == 'close' and before == 'open' then
  redis.call('HSET', KEYS[1], '0', 'closed')
elseif step == 'reopen' and before == 'closed' then
  redis.call('HDEL', KEYS[1], '0')
elseif step == 'archive' and (before == 'closed' and has_all or before == ARGV[5]) then
  -- Of an archived day, this removes what an unfinished restore has left.
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], '0', ARGV[5])
  list(true)
elseif step == 'open' and before ~= 'closed' and has_all then
  redis.call('HDEL', KEYS[1], '0')
  list(false)
end
return state()
