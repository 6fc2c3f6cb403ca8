-- Asks for the number of skiers of a resort day.
function init(args)
  math.randomseed(os.time() * 1000 + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
end

function request()
  return wrk.format("GET", "/resorts/" .. math.random(10) .. "/seasons/2025/day/" .. math.random(3) .. "/skiers")
end
