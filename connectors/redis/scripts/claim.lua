-- claim: does this job stand for its job key?
-- KEYS  1 epoch  2 stats  3 claim  4 dups  5 run
-- ARGV  1 run_id  2 jid  3 mode  4 provisional_ms  5 action
-- OUT   {verdict, original, state, since_ms}     verdict: original, duplicate, candidate; state: n, p, q, h, r
-- TIME  the server's, never the caller's
-- AGAIN the owner is told original again; the newest candidate or duplicate is told the same and counted once
-- COST  inner commands: 6 original, 7 duplicate or candidate (of a running job 9), 2 told again

local jid, mode, provisional_ms, action = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local claim = redis.call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'at', 'n', 'nc', 'cn', 'dn', 'run')
local owner, state, since = claim[1], claim[2], tonumber(claim[4])
local duplicates, candidates = tonumber(claim[5]), tonumber(claim[6])
local newest_candidate, newest_duplicate = claim[7], claim[8]

if owner == jid then
    return {'original', '', 'n', 0}
end

-- A running job does not come up for admission again, so it turns away nothing of mode until_executing.
local over = state == 'r' and mode == 'until_executing'
if not owner or over then
    if over then
        redis.call('DEL', KEYS[3])
    end
    redis.call('HSET', KEYS[3], 'jid', jid, 'st', 'p', 'ep', epoch, 'at', digits(now_ms()), 'mode', mode,
               'n', 0, 'nc', 0)
    redis.call('PEXPIRE', KEYS[3], provisional_ms)
    count('claimed')
    return {'original', '', 'n', 0}
end

-- A run that is no longer renewed may have ended unseen, or its job comes again: it turns nothing away.
local function is_alive(run)
    local expiry = run and redis.call('ZSCORE', KEYS[5], run)
    return expiry and tonumber(expiry) > now_ms()
end

local certain = claim[3] == epoch and (state == 'q' or state == 'h' or state == 'r' and is_alive(claim[9]))
local told = certain and newest_duplicate == jid or not certain and newest_candidate == jid
if not told then
    if certain then
        redis.call('HSET', KEYS[3], 'n', duplicates + 1, 'dn', jid)
    else
        redis.call('HSET', KEYS[3], 'n', duplicates + 1, 'nc', candidates + 1, 'cn', jid)
    end
    redis.call('LPUSH', KEYS[4], table.concat({jid, owner, digits(now_ms()), certain and state or 'p', action,
                                               certain and 0 or 1}, ' '))
    redis.call('LTRIM', KEYS[4], 0, 99)
    count(certain and 'duplicates' or 'candidates')
end
-- Asked again, and its original was confirmed in between: now it is dropped, so it is no heir.
if certain and newest_candidate == jid then
    redis.call('HDEL', KEYS[3], 'cn')
end
return {certain and 'duplicate' or 'candidate', owner, certain and state or 'p', since}
