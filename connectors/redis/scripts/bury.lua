-- bury: this job goes to the dead topic, its claim and ticket end
-- KEYS  1 epoch  2 stats  3 claim  4 tkt  5 held
-- ARGV  1 run_id  2 jid  3 ttl_ms  4 provisional_ms  5 channel
-- OUT   {changed}     changed: the claim
-- TIME  the server's, never the caller's
-- AGAIN nothing changes; it is counted once more
-- COST  inner commands: 9 passed on, 5 ended, 5 a candidate, 4 otherwise; 1 or 2 more when a ticket went
--
-- The claim goes to an heir as in `release`. A running job's claim stays: that run ends it.

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
    return #fields > 0
end

local function pass_on(heir)
    local acked = heir == newest_acked and claim_epoch == epoch
    redis.call('HSET', KEYS[3], 'jid', heir, 'st', acked and 'q' or 'p', 'at', digits(now_ms()))
    forget(heir, 'run')
    redis.call('PEXPIRE', KEYS[3], acked and ttl_ms or provisional_ms)
    count('passed')
end

local changed = false
if owner and owner ~= jid then
    changed = forget(jid)
elseif owner and state ~= 'r' then
    changed = true
    if newest or newest_acked then
        pass_on(newest or newest_acked)
    else
        redis.call('DEL', KEYS[3])
    end
end
if redis.call('HDEL', KEYS[4], jid) == 1 and held_by(KEYS[5]) > 0 then
    redis.call('PUBLISH', ARGV[5], 'slot')
end
count('buried')
return {changed and 1 or 0}
