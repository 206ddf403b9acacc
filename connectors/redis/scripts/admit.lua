-- admit: may this job start now?
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 was  6 was_original  7 tkt  8 held  9 limits
-- ARGV  1 run_id  2 jid  3 mode  4 member  5 candidate_of  6 run_ttl_ms  7 ttl_ms  8 limit
--       9 resumed  10 last_try  11 fresh  12 grace_ms  13 hold_max  14 channel
-- OUT   {verdict, original, epoch, reason}     verdict: run, skip, hold, later; reason: none, limit, behind, paused,
--       grace, full
-- TIME  the server's, never the caller's
-- AGAIN who is no candidate never gets skip. A candidate that got run may get skip, but only once its original is
--       certain to come up, or came up, after the candidate was produced; while its run is a member (until_executed, or
--       a limit) it gets run. One that got skip may get run when that knowledge has expired. Of a class with a limit,
--       run stays run while the member lives; hold may become run, and is counted once more; later decided nothing.
-- COST  inner commands without a limit: until_executing 4 owner (5 with candidates), 3 otherwise; until_executed 8
--       owner, 6 otherwise; a candidate: 1 or 2 more; resumed: 1 more. With a limit: until_executing 8 more,
--       until_executed 5 more (4 and 1 when the member runs already); held 11 at most, 2 more the claim's owner

local jid, mode, member, candidate_of, run_ttl_ms, ttl_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local own_limit, resumed, last_try, hold_max = tonumber(ARGV[8]), ARGV[9] == '1', ARGV[10] == '1', tonumber(ARGV[13])
local executed = mode == 'until_executed'
-- A run of either kind is a member of `run` until it is completed.
local lasts = executed or own_limit ~= 0
local claim = redis.call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'nc', 'cn', 'ca', 'run')
local owner, state, claim_epoch, candidates = claim[1], claim[2], claim[3], tonumber(claim[4])
local now

-- Is the original certain to come up after this candidate was produced, or did it? For until_executed it is enough that
-- its work was unfinished then. A running original says nothing about when it started: `renew` may have put its state
-- back after the store lost the start; and one that is no longer renewed may have ended before.
local function original_stands()
    if owner == candidate_of and claim_epoch == epoch then
        local runs = executed and state == 'r' and claim[7] and redis.call('ZSCORE', KEYS[4], claim[7])
        if state == 'q' or state == 'h' or runs then
            return true
        end
    end
    local was = redis.call('GET', KEYS[6])
    return was == 'until_executing' or executed and was == 'until_executed'
end

local function leave()
    local fields = {}
    if claim[5] == jid then
        table.insert(fields, 'cn')
    end
    if claim[6] == jid then
        table.insert(fields, 'ca')
    end
    if #fields > 0 then
        redis.call('HDEL', KEYS[3], unpack(fields))
    end
end

-- What the limit says to a job that does not run yet. The resumer's tickets go before newcomers, who go behind whatever
-- is held: else those would starve.
local function ask_limit()
    local limit = limit_by(redis.call('HGET', KEYS[9], 'override'), own_limit)
    if limit == 0 then
        return 'run', 'none'
    end
    if limit < 0 then
        return 'hold', 'paused'
    end
    if not settle(now, ARGV[12], ARGV[11]) then
        return 'later', 'grace'
    end
    if resumed and redis.call('HEXISTS', KEYS[7], jid) == 1 then
        if redis.call('ZCARD', KEYS[4]) < limit then
            return 'run', 'none'
        end
        return last_try and 'hold' or 'later', 'limit'
    end
    -- With no room to be held, a newcomer takes a free slot out of turn: what is held comes back behind it in the same
    -- partition, so it must not wait for that.
    local full = not resumed and hold_max > 0 and held_by(KEYS[8]) >= hold_max
    if not full and (held_by(KEYS[8]) > 0 or redis.call('HLEN', KEYS[7]) > 0) then
        return 'hold', 'behind'
    end
    if redis.call('ZCARD', KEYS[4]) < limit then
        return 'run', 'none'
    end
    return full and 'later' or 'hold', full and 'full' or 'limit'
end

-- A held job comes up again, so its claim is certain. A candidate stays one: it may yet become heir.
local function hold()
    if resumed then
        redis.call('HDEL', KEYS[7], jid)
    end
    redis.call('HINCRBY', KEYS[8], 'n', 1)
    if owner == jid and state ~= 'r' then
        redis.call('HSET', KEYS[3], 'st', 'h', 'ep', epoch)
        redis.call('PEXPIRE', KEYS[3], ttl_ms)
    end
    count('held')
end

if lasts then
    now = now_ms()
    redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', digits(now))
end
local candidate = candidate_of ~= '' and owner ~= jid
local runs = lasts and (candidate or own_limit ~= 0) and redis.call('ZSCORE', KEYS[4], member)
if candidate and not runs and original_stands() then
    leave()
    if resumed and redis.call('HDEL', KEYS[7], jid) == 1 and held_by(KEYS[8]) > 0 then
        redis.call('PUBLISH', ARGV[14], 'slot')
    end
    count('skipped')
    return {'skip', candidate_of, tonumber(epoch), 'none'}
end
if own_limit ~= 0 and not runs then
    local verdict, reason = ask_limit()
    if verdict == 'hold' and reason == 'paused' and not resumed and hold_max > 0 and held_by(KEYS[8]) >= hold_max then
        verdict, reason = 'later', 'full'
    end
    if verdict == 'hold' then
        hold()
    end
    if verdict ~= 'run' then
        return {verdict, '', tonumber(epoch), reason}
    end
end
leave()
if resumed then
    redis.call('HDEL', KEYS[7], jid)
end
if lasts then
    redis.call('ZADD', KEYS[4], digits(now + tonumber(run_ttl_ms)), member)
end
if owner == jid then
    if executed then
        redis.call('HSET', KEYS[3], 'st', 'r', 'run', member, 'ep', epoch)
        redis.call('PEXPIRE', KEYS[3], ttl_ms)
    else
        redis.call('DEL', KEYS[3])
        if candidates > 0 then
            redis.call('SET', KEYS[5], 'until_executing', 'PX', ttl_ms)
        end
    end
end
count('admitted')
return {'run', '', tonumber(epoch), 'none'}
