-- Asks for a skier's vertical of one day; every skier of the preloaded store has one.
function init(args)
  math.randomseed(os.time() * 1000 + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
end

function request()
  local resort = math.random(10)
  local skier = (resort - 1) * 100000 + math.random(100000)
  return wrk.format("GET", "/skiers/" .. resort .. "/seasons/2025/days/" .. math.random(3) .. "/skiers/" .. skier)
end
