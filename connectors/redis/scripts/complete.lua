-- complete: this job's run ended (until_executed, or a limit)
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 was  6 held
-- ARGV  1 run_id  2 jid  3 member  4 ttl_ms  5 channel
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 8 owner (9 with candidates), 7 otherwise, 4 told again; 1 more when jobs are held
--
-- The claim ends with its owner's latest run: while another member runs the same job once more, the work is unfinished.
-- A run that had expired leaves no record: nobody knows whether its work ended before a candidate was produced.
-- A slot that got free wakes the resumer, when there is something to resume.

local jid, member, ttl_ms = ARGV[2], ARGV[3], ARGV[4]
local reaped = redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', digits(now_ms()))
local left = redis.call('ZREM', KEYS[4], member)
local claim = redis.call('HMGET', KEYS[3], 'jid', 'run', 'nc')
local ended = claim[1] == jid and (not claim[2] or claim[2] == member)
if ended then
    redis.call('DEL', KEYS[3])
    if left == 1 and tonumber(claim[3]) > 0 then
        redis.call('SET', KEYS[5], 'until_executed', 'PX', ttl_ms)
    end
end
if reaped + left > 0 and held_by(KEYS[6]) > 0 then
    redis.call('PUBLISH', ARGV[5], 'slot')
end
if left == 0 and not ended then
    return {0}
end
count('completed')
return {1}
