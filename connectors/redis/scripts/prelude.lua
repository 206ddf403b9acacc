-- prelude: what every script starts with; the loader puts it in front of each
-- KEYS  1 epoch  2 stats
-- ARGV  1 run_id
-- TIME  the server's, never the caller's
--
-- `epoch` holds "<run_id> <number>": which server process wrote the data of this class, and the number of that epoch.
-- The caller says which process it is connected to. Another one, or none, means that data may have been lost or
-- rewound: a new, larger number is written, and claims of smaller ones count as provisional.
-- Cost: 1 inner command (3 when an epoch starts); now_ms: 1.

local function now_ms()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Numbers above 2^31 as Redis and the fields of a hash spell them.
local function digits(number)
    return string.format('%.0f', number)
end

local function current_epoch()
    local run_id, number = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+) (%d+)$')
    if run_id == ARGV[1] then
        return number
    end
    number = digits(math.max((tonumber(number) or 0) + 1, now_ms()))
    redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. number)
    return number
end

local function count(counter)
    redis.call('HINCRBY', KEYS[2], counter, 1)
end

local epoch = current_epoch()

