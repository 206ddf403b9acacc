-- release: this job's delivery failed, its claim goes to a candidate or ends
-- KEYS  1 epoch  2 stats  3 claim
-- ARGV  1 run_id  2 jid  3 ttl_ms  4 provisional_ms
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 7 passed on, 4 ended, 3 a candidate, 2 otherwise
--
-- The heir is the newest candidate, else the newest acknowledged one; those that were admitted or failed have left.
-- It is queued when it was acknowledged. In a claim of an older epoch it is provisional in any case, and the epoch
-- stays: an admission that made it leave may be among what was lost.

local jid, ttl_ms, provisional_ms = ARGV[2], ARGV[3], ARGV[4]
local claim = redis.call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'cn', 'ca')
local owner, state, claim_epoch, newest, newest_acked = claim[1], claim[2], claim[3], claim[4], claim[5]

local function forget(who, ...)
    local fields = {...}
    if newest == who then
        table.insert(fields, 'cn')
    end
    if newest_acked == who then
        table.insert(fields, 'ca')
    end
    if #fields > 0 then
        redis.call('HDEL', KEYS[3], unpack(fields))
    end
    return {#fields > 0 and 1 or 0}
end

if owner and owner ~= jid then
    return forget(jid)
end
-- What is held was consumed, so it was delivered.
if not owner or state == 'r' or state == 'h' then
    return {0}
end
local heir = newest or newest_acked
if not heir then
    redis.call('DEL', KEYS[3])
    count('released')
    return {1}
end
local acked = heir == newest_acked and claim_epoch == epoch
redis.call('HSET', KEYS[3], 'jid', heir, 'st', acked and 'q' or 'p', 'at', digits(now_ms()))
forget(heir, 'run')
redis.call('PEXPIRE', KEYS[3], acked and ttl_ms or provisional_ms)
count('passed')
return {1}
