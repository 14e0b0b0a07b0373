-- Stores an entry, unless what it depends on changed since its look-up.
--
-- KEYS: the server's versions, the entry.
-- ARGV: run, stamp of the look-up, ms to keep versions, field of the method, field of the target,
--       field of the entry, until when to keep the entry (ms, time here), its value, and how long that is
--       at most (ms).
-- Gives: 1 if it was stored.
if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then
  return 0
end
local seen = redis.call('HMGET', KEYS[1], '*', ARGV[4], ARGV[5], ARGV[6])
for i = 1, 4 do
  seen[i] = seen[i] or ''
end
if table.concat(seen, '.') ~= ARGV[2] then
  return 0
end
-- It may have come late; and where the clock was turned back, nobody knows how late.
local time = redis.call('TIME')
local left = tonumber(ARGV[7]) - (time[1] * 1000 + math.floor(time[2] / 1000))
if left < 1 or left > tonumber(ARGV[9]) then
  return 0
end
-- The first write of the script: a full Redis refuses it, and would not refuse a second one.
redis.call('SET', KEYS[2], ARGV[8], 'PXAT', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
