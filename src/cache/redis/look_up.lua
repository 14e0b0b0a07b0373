-- Finds what is kept of a result, and tells what it depends on; whoever finds nothing may take the lease.
--
-- KEYS: the server's versions, the lease, the entries in the order in which they are wanted.
-- ARGV: run, token for new versions, ms to keep versions, most fields, field of the method,
--       field of the target (empty: none), ms of the lease (0: none), its owner, a field for each entry.
-- Gives: the stamp of each entry, the place of the one found (0: none), its PTTL, its value,
--        whose turn it is (0: nobody's, 1: the caller's, 2: another's), and the time here in ms.
local versions, lease = KEYS[1], KEYS[2]
local run, token, kept, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local method, target = ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- New, or of a Redis that went down since and may have come back with what it once held.
if redis.call('HGET', versions, 'run') ~= run then
  redis.call('DEL', versions)
  redis.call('HSET', versions, 'run', run, '*', token)
  redis.call('PEXPIRE', versions, kept)
end

local seen = redis.call('HMGET', versions, '*', method, target)
local common = table.concat({seen[1] or '', seen[2] or '', seen[3] or ''}, '.')
local stamps = {}
for i = 9, #ARGV do
  stamps[i - 8] = common .. '.' .. (redis.call('HGET', versions, ARGV[i]) or '')
end

for i, stamp in ipairs(stamps) do
  local entry = KEYS[i + 2]
  local value = redis.call('GET', entry)
  if value then
    if string.sub(value, 1, #stamp + 1) == stamp .. '\n' then
      return {stamps, i, redis.call('PTTL', entry), value, 0, now}
    end
    -- Versions never come back, so it is of no use to anybody.
    redis.call('UNLINK', entry)
  end
end

local function is_full(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'OOM', 1, true)
end

-- The caller is about to fetch: from now on, wildcards must find the name.
if target ~= '' and not seen[3] then
  local noted
  if redis.call('HLEN', versions) < most then
    noted = redis.pcall('HSETNX', versions, target, '')
  else
    noted = redis.pcall('HSETNX', versions, 'more', '1')
  end
  if is_full(noted) then
    return {{}, 0, 0, false, 0, now}
  elseif type(noted) == 'table' and noted.err then
    return noted
  end
end

if ARGV[7] == '0' then
  return {stamps, 0, 0, false, 0, now}
end
local taken = redis.pcall('SET', lease, ARGV[8], 'NX', 'PX', ARGV[7])
if is_full(taken) then
  return {stamps, 0, 0, false, 0, now}
elseif type(taken) == 'table' and taken.err then
  return taken
end
return {stamps, 0, 0, false, taken and 1 or 2, now}
