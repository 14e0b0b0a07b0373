-- Charges all buckets, or none, and says how each stood before.
--
-- KEYS: one for each bucket and window. ARGV: whether to charge (1) or only to look (0), how many
-- steps make a window, then for each key the limit and the length of a step in microseconds.
--
-- A key is a hash: the number of a step -> how many calls began in it. See `filters::rate::window`,
-- of which this is the same for a clock that all instances share.
-- Answers for each key: how many calls count, in how many microseconds one fits (0: now), and in how
-- many the oldest are forgotten.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local slots = ARGV[2] + 1
local answer, newest, outdated, fits = {}, {}, {}, true

for i, key in ipairs(KEYS) do
  local limit, length = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local step = math.floor(now / length)
  local fields, steps, counts, used = redis.call('HGETALL', key), {}, {}, 0
  for at = 1, #fields, 2 do
    steps[#steps + 1] = tonumber(fields[at])
    counts[steps[#steps]] = tonumber(fields[at + 1])
  end
  table.sort(steps)
  -- A clock that goes back is taken to have stood still.
  newest[i] = math.max(step, steps[#steps] or 0)
  local live = {}
  outdated[i] = {}
  for _, n in ipairs(steps) do
    if n + slots > step then
      live[#live + 1] = n
      used = used + counts[n]
    else
      outdated[i][#outdated[i] + 1] = string.format('%.0f', n)
    end
  end
  local function until_fewer(few)
    local gone = 0
    for _, n in ipairs(live) do
      gone = gone + counts[n]
      if gone >= few then return (n + slots) * length - now end
    end
    return slots * length
  end
  local wait, reset = 0, 0
  if used >= limit then wait = until_fewer(used - limit + 1) end
  if used > 0 then reset = until_fewer(1) end
  if wait > 0 then fits = false end
  answer[i] = { used, wait, reset }
end

if ARGV[1] == '1' and fits then
  for i, key in ipairs(KEYS) do
    local length = tonumber(ARGV[2 * i + 2])
    redis.call('HINCRBY', key, string.format('%.0f', newest[i]), 1)
    if #outdated[i] > 0 then redis.call('HDEL', key, unpack(outdated[i])) end
    local left = math.ceil(((newest[i] + slots) * length - now) / 1000)
    redis.call('PEXPIRE', key, string.format('%.0f', left))
  end
end
return answer
