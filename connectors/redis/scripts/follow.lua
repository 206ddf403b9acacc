-- follow: what is known of a job key's follow-ups; the loader puts it in front of the scripts that know more of them
-- KEYS  1 epoch  2 stats
-- ARGV  1 run_id
-- TIME  the server's, never the caller's
--
-- Follow-ups are numbered in the order of their claims; `last` of `fol` is the largest number that was given. One that is
-- in the log for sure (it was acknowledged, or came up) stands for all with smaller numbers: those are skipped. So does
-- any job with a number that has started. `n` is the largest such number, and `jid` whose it is, unless the store lost
-- data since (`ep`); `s`: that one has started. `u` and `uj` are the newest one that is not acknowledged yet: until `ue`
-- those before it wait for what becomes of it. All that is kept while a job with follow-ups runs.
-- Cost: follow_ups: 1 inner command; note_follow_up: 2, 1 more when it was the newest, 1 when it gets the claim;
-- start_numbered: 3, 1 when it is not the newest.

local function follow_ups(fol_key)
    local found = call('HMGET', fol_key, 'n', 'jid', 'u', 'uj', 'ue', 'ep')
    return {n = tonumber(found[1]) or 0, jid = found[2], u = tonumber(found[3]) or 0, uj = found[4],
            ue = tonumber(found[5]) or 0, epoch = found[6]}
end

-- The follow-up is not unacknowledged any more.
local function settle_follow_up(fol_key, fol, jid)
    if fol.uj == jid then
        call('HDEL', fol_key, 'u', 'uj', 'ue')
        fol.u = 0
    end
end

-- It is in the log, and none that is there has a larger number. The claim goes with that: true when an older follow-up
-- had it, which did not start. `waiting`: the claim's owner did not, and the claim is of this epoch.
local function note_follow_up(fol_key, claim_key, fol, owner, waiting, jid, number, ttl_ms)
    call('HSET', fol_key, 'n', digits(number), 'jid', jid, 's', 0, 'ep', epoch)
    call('PEXPIRE', fol_key, ttl_ms)
    settle_follow_up(fol_key, fol, jid)
    if not waiting or not fol.jid or fol.jid == jid or owner ~= fol.jid then
        return false
    end
    call('HSET', claim_key, 'jid', jid, 'st', 'q', 'at', digits(now_ms()), 'no', digits(number))
    return true
end

-- The claim's owner starts. It stands for all with smaller numbers, follow-up or not, and is nobody's heir.
local function start_numbered(fol_key, jid, number, ttl_ms)
    if number < (tonumber(call('HGET', fol_key, 'n')) or 0) then
        return
    end
    call('HSET', fol_key, 'n', digits(number), 'jid', jid, 's', 1, 'ep', epoch)
    call('PEXPIRE', fol_key, ttl_ms)
end
