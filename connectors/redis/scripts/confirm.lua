-- confirm: the broker has acknowledged this job
-- KEYS  1 epoch  2 stats  3 claim  4 fol
-- ARGV  1 run_id  2 jid  3 ttl_ms  4 follow_up
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 5 owner, 3 candidate, 2 otherwise; a follow-up: 4 more when it is the newest, 2 more when it gets
--       the claim, 1 or 2 more otherwise
--
-- Never creates a claim and never raises one of an older epoch: the job may have started before its acknowledgement was
-- seen. For the same reason a candidate that is no longer the newest is not remembered: it may have been admitted. A
-- follow-up is, as long as none with a larger number is known: those that were admitted are.

local jid, ttl_ms, number = ARGV[2], ARGV[3], tonumber(ARGV[4])
local claim = call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'cn', 'ca')
local owner, state, claim_epoch, newest, newest_acked = claim[1], claim[2], claim[3], claim[4], claim[5]
local noted = false

if number > 0 then
    local fol = follow_ups(KEYS[4])
    noted = fol.epoch == epoch and number > fol.n
    if noted then
        note_follow_up(KEYS[4], KEYS[3], fol, owner, state ~= 'r' and claim_epoch == epoch, jid, number, ttl_ms)
    else
        settle_follow_up(KEYS[4], fol, jid)
    end
end
if owner == jid then
    if state ~= 'p' or claim_epoch ~= epoch then
        return {noted and 1 or 0}
    end
    call('HSET', KEYS[3], 'st', 'q')
    call('PEXPIRE', KEYS[3], ttl_ms)
    count('confirmed')
    return {1}
end
if newest ~= jid or newest_acked == jid then
    return {noted and 1 or 0}
end
call('HSET', KEYS[3], 'ca', jid)
return {1}
