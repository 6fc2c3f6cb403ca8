-- Posts random rides: 10 resorts, 3 days, 100,000 skiers a resort.
local headers = { ["Content-Type"] = "application/json" }

function init(args)
  math.randomseed(os.time() * 1000 + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
end

function request()
  local resort = math.random(10)
  local path = "/skiers/" .. resort .. "/seasons/2025/days/" .. math.random(3) .. "/skiers/" .. (resort - 1) * 100000 + math.random(100000)
  local body = '{"time":' .. math.random(1440) .. ',"liftID":' .. math.random(40) .. '}'
  return wrk.format("POST", path, headers, body)
end
