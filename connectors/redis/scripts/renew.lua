-- renew: this job still runs (until_executed, or a limit)
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 held
-- ARGV  1 run_id  2 jid  3 member  4 run_ttl_ms  5 ttl_ms  6 epoch_in  7 channel
-- OUT   {changed, epoch}     changed: the run is a member
-- TIME  the server's, never the caller's
-- AGAIN the TTLs start once more
-- COST  inner commands: 8, 6 when the claim is another's; 1 or 2 more when other runs have expired
--
-- A member that is missing comes back only when the store lost data since it was admitted (epoch_in is another than the
-- current epoch); else its run had expired, and is over. Never creates a claim; puts the state of its own back.

local jid, member, run_ttl_ms, ttl_ms, epoch_in = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = now_ms()
local reaped = redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', digits(now))
local alive = epoch_in ~= epoch or redis.call('ZSCORE', KEYS[4], member)
if alive then
    redis.call('ZADD', KEYS[4], digits(now + tonumber(run_ttl_ms)), member)
end
if reaped > 0 and held_by(KEYS[5]) > 0 then
    redis.call('PUBLISH', ARGV[7], 'slot')
end
local claim = redis.call('HMGET', KEYS[3], 'jid', 'ep', 'run')
if claim[1] == jid and (claim[3] == member or claim[2] ~= epoch) then
    redis.call('HSET', KEYS[3], 'st', 'r', 'run', member, 'ep', epoch)
    redis.call('PEXPIRE', KEYS[3], ttl_ms)
end
return {alive and 1 or 0, tonumber(epoch)}
