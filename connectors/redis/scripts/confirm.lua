-- confirm: the broker has acknowledged this job
-- KEYS  1 epoch  2 stats  3 claim
-- ARGV  1 run_id  2 jid  3 ttl_ms
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 5 owner, 3 candidate, 2 otherwise
--
-- Never creates a claim and never raises one of an older epoch: the job may have started before its acknowledgement was
-- seen. For the same reason a candidate that is no longer the newest is not remembered: it may have been admitted.

local jid, ttl_ms = ARGV[2], ARGV[3]
local claim = redis.call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'cn', 'ca')
local owner, state, claim_epoch, newest, newest_acked = claim[1], claim[2], claim[3], claim[4], claim[5]

if owner == jid then
    if state ~= 'p' or claim_epoch ~= epoch then
        return {0}
    end
    redis.call('HSET', KEYS[3], 'st', 'q')
    redis.call('PEXPIRE', KEYS[3], ttl_ms)
    count('confirmed')
    return {1}
end
if newest ~= jid or newest_acked == jid then
    return {0}
end
redis.call('HSET', KEYS[3], 'ca', jid)
return {1}
