-- keep: this job is still unacknowledged, keep its provisional claim
-- KEYS  1 epoch  2 stats  3 claim
-- ARGV  1 run_id  2 jid  3 provisional_ms
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN the TTL starts once more
-- COST  inner commands: 3 owner, 2 otherwise

local jid, provisional_ms = ARGV[2], ARGV[3]
local claim = call('HMGET', KEYS[3], 'jid', 'st')
if claim[1] ~= jid or claim[2] ~= 'p' then
    return {0}
end
call('PEXPIRE', KEYS[3], provisional_ms)
return {1}
