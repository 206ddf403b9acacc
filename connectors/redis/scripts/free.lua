-- free: what this job has put downstream is done with, its capacity slot serves another
-- KEYS  1 epoch  2 stats  3 cap  4 held
-- ARGV  1 run_id  2 jid  3 channel
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes; it is counted as unknown
-- COST  inner commands: 6, 1 more when jobs are held; 3 when there is no such slot

local expires = tonumber(call('ZSCORE', KEYS[3], ARGV[2]))
if expires then
    call('ZREM', KEYS[3], ARGV[2])
end
if not expires or expires <= now_ms() then
    count('slots_unknown')
    return {0}
end
count('slots_freed')
if held_by(KEYS[4]) > 0 then
    call('PUBLISH', ARGV[3], 'slot')
end
return {1}
