-- prelude: what every script starts with; the loader puts it in front of each
-- KEYS  1 epoch  2 stats
-- ARGV  1 run_id
-- TIME  the server's, never the caller's
--
-- `epoch` holds "<run_id> <number>": which server process wrote the data of this class, and the number of that epoch.
-- The caller says which process it is connected to. Another one, or none, means that data may have been lost or
-- rewound: a new, larger number is written, and claims of smaller ones count as provisional. It is written with " new"
-- behind it, unsettled: members of `run` may be missing, so nobody gets a slot until those who run have had the time to
-- put theirs back.
-- Cost: 1 inner command (3 when an epoch starts); now_ms, held, wake: 1; settle: 1 when it does.

local call = redis.call

local function now_ms()
    local time = call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Numbers above 2^31 as Redis and the fields of a hash spell them.
local function digits(number)
    return string.format('%.0f', number)
end

local function current_epoch()
    local run_id, number, mark = string.match(call('GET', KEYS[1]) or '', '^(%w+) (%d+)(.*)$')
    if run_id == ARGV[1] then
        return number, mark == ' new'
    end
    number = digits(math.max((tonumber(number) or 0) + 1, now_ms()))
    call('SET', KEYS[1], ARGV[1] .. ' ' .. number .. ' new')
    return number, true
end

local function count(counter, by)
    call('HINCRBY', KEYS[2], counter, by or 1)
end

local epoch, unsettled = current_epoch()

-- May slots be given? The grace begins with the epoch's number, which is a time. `fresh`: the epoch in which nothing ran
-- before, so nothing is missing; '1': whichever it is.
local function settle(now, grace_ms, fresh)
    if unsettled and (fresh == '1' or fresh == epoch or now >= tonumber(epoch) + tonumber(grace_ms)) then
        call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch)
        unsettled = false
    end
    return not unsettled
end

-- The limit that counts: one that was set at run time, else `own`. `override` is a field of `limits`.
local function limit_by(override, own)
    return tonumber(string.match(override or '', '^(-?%d+) ')) or tonumber(own)
end

-- How many jobs are held, as far as `held` knows; and how many of them stand in the way of newcomers: no follow-up does,
-- which waits for its original alone.
local function held_by(key)
    return tonumber(call('HGET', key, 'n')) or 0
end

local function held_before(key)
    local held = call('HMGET', key, 'n', 'f')
    return (tonumber(held[1]) or 0) - (tonumber(held[2]) or 0)
end

