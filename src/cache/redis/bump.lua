-- Gives new versions to what was invalidated, and tells all instances.
--
-- KEYS: the server's versions, entries to drop.
-- ARGV: run, token, most fields, whether all of the server is meant (1), channel, message, the fields.
-- Gives: how many instances were told.
local versions = KEYS[1]
local is_whole = ARGV[4] == '1'
  or redis.call('HGET', versions, 'run') ~= ARGV[1]
  or redis.call('HLEN', versions) + #ARGV - 6 > tonumber(ARGV[3])
if not is_whole then
  for i = 7, #ARGV do
    local set = redis.pcall('HSET', versions, ARGV[i], ARGV[2])
    -- A full Redis takes no more fields; it can always forget.
    is_whole = is_whole or (type(set) == 'table' and set.err ~= nil)
  end
end
if is_whole then
  -- The next look-up makes new ones, which equal none there ever were.
  redis.call('DEL', versions)
end
for i = 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return redis.call('PUBLISH', ARGV[5], ARGV[6])
