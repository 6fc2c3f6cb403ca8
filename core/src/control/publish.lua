-- Writes a document unless a newer one, or the same one, stands there. Returns the serial that stands there then.
-- KEYS[1] the document's key. ARGV[1] its serial, ARGV[2] its JSON.
local standing = redis.call('GET', KEYS[1])
if standing then
  local is_json, document = pcall(cjson.decode, standing)
  -- What is not ours has no serial, and gives way.
  if is_json and type(document) == 'table' and type(document.serial) == 'number'
    and document.serial >= tonumber(ARGV[1]) then
    return document.serial
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return tonumber(ARGV[1])
