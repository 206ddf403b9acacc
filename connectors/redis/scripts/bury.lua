-- bury: this job goes to the dead topic, its claim and ticket end
-- KEYS  1 epoch  2 stats  3 claim  4 tkt  5 held  6 chain  7 fol
-- ARGV  1 run_id  2 jid  3 ttl_ms  4 provisional_ms  5 channel  6 follow_up
-- OUT   {changed}     changed: the claim
-- TIME  the server's, never the caller's
-- AGAIN nothing changes; it is counted once more
-- COST  inner commands: 10 passed on, 6 ended, 6 a candidate, 5 otherwise; 1 or 2 more when a ticket went, 1 more when
--       its chain is known; a follow-up: 1 more, 2 when it is the newest
--
-- The claim goes to an heir as in `release`. A running job's claim stays: that run ends it. Its chain ends with it,
-- unless a later one of it has started.

local jid, ttl_ms, provisional_ms = ARGV[2], ARGV[3], ARGV[4]
local claim = call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'cn', 'ca')
local owner, state, heirs = claim[1], claim[2], {claim[4], claim[5]}

local changed = false
if owner and owner ~= jid then
    changed = forget(KEYS[3], heirs, jid)
elseif owner and state ~= 'r' then
    changed = true
    pass_on(KEYS[3], heirs, claim[3], ttl_ms, provisional_ms)
end
if ARGV[6] ~= '0' and call('HGET', KEYS[7], 'jid') == jid then
    call('HDEL', KEYS[7], 'jid')
end
if call('HDEL', KEYS[4], jid) == 1 and held_by(KEYS[5]) > 0 then
    call('PUBLISH', ARGV[5], 'slot')
end
local started = tonumber(call('HGET', KEYS[6], 'n'))
if started and started <= number_of(jid) then
    call('PEXPIRE', KEYS[6], DONE_MS)
end
count('buried')
return {changed and 1 or 0}
