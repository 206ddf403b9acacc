-- release: this job's delivery failed, its claim goes to a candidate or ends
-- KEYS  1 epoch  2 stats  3 claim  4 fol
-- ARGV  1 run_id  2 jid  3 ttl_ms  4 provisional_ms  5 follows_up
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 7 passed on, 4 ended, 3 a candidate, 2 otherwise; with follow-ups 1 or 2 more

local jid, ttl_ms, provisional_ms = ARGV[2], ARGV[3], ARGV[4]
local claim = call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'cn', 'ca')
local owner, state, heirs = claim[1], claim[2], {claim[4], claim[5]}

if ARGV[5] == '1' and call('HGET', KEYS[4], 'uj') == jid then
    call('HDEL', KEYS[4], 'u', 'uj', 'ue')
end
if owner and owner ~= jid then
    return {forget(KEYS[3], heirs, jid) and 1 or 0}
end
-- What is held was consumed, so it was delivered.
if not owner or state == 'r' or state == 'h' then
    return {0}
end
if not pass_on(KEYS[3], heirs, claim[3], ttl_ms, provisional_ms) then
    count('released')
end
return {1}
