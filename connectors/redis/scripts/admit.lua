-- admit: may this job start now?
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 was  6 was_original
-- ARGV  1 run_id  2 jid  3 mode  4 member  5 candidate_of  6 run_ttl_ms  7 ttl_ms
-- OUT   {verdict, original, epoch}     verdict: run, skip
-- TIME  the server's, never the caller's
-- AGAIN who is no candidate gets run, always. A candidate that got run may get skip, but only once its original is
--       certain to come up, or came up, after the candidate was produced; while its run is a member (until_executed)
--       it gets run. One that got skip may get run when that knowledge has expired.
-- COST  inner commands: until_executing 4 owner (5 with candidates), 3 otherwise; until_executed 8 owner, 6 otherwise;
--       a candidate: 1 or 2 more

local jid, mode, member, candidate_of, run_ttl_ms, ttl_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local executed = mode == 'until_executed'
local claim = redis.call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'nc', 'cn', 'ca', 'run')
local owner, state, claim_epoch, candidates = claim[1], claim[2], claim[3], tonumber(claim[4])
local now

-- Is the original certain to come up after this candidate was produced, or did it? For until_executed it is enough that
-- its work was unfinished then. A running original says nothing about when it started: `renew` may have put its state
-- back after the store lost the start; and one that is no longer renewed may have ended before.
local function original_stands()
    if owner == candidate_of and claim_epoch == epoch then
        local runs = executed and state == 'r' and claim[7] and redis.call('ZSCORE', KEYS[4], claim[7])
        if state == 'q' or runs then
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

if executed then
    now = now_ms()
    redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', digits(now))
end
leave()
if candidate_of ~= '' and owner ~= jid then
    local runs = executed and redis.call('ZSCORE', KEYS[4], member)
    if not runs and original_stands() then
        count('skipped')
        return {'skip', candidate_of, tonumber(epoch)}
    end
end
if executed then
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
return {'run', '', tonumber(epoch)}
