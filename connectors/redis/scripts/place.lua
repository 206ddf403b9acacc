-- place: jobs were produced to their origin topics, to these positions
-- KEYS  1 epoch  2 stats  3 tkt
-- ARGV  1 run_id  2 items
-- OUT   {changed}     changed: one of them has a ticket
-- TIME  the server's, never the caller's
-- AGAIN the positions stay; they are counted once more
-- COST  inner commands: 2, for each pair 1, or 2 when it has a ticket
--
-- Items are pairs: jid, position. A job of a class without a limit has no ticket and is only counted.

local pairs_seen, changed = 0, 0
local jid = ARGV[2]
while jid do
    local position = ARGV[3 + 2 * pairs_seen]
    local taken, limit_key = string.match(call('HGET', KEYS[3], jid) or '', '^(%d+) %S*( ?%S*)$')
    if taken then
        call('HSET', KEYS[3], jid, taken .. ' ' .. position .. limit_key)
        changed = 1
    end
    pairs_seen = pairs_seen + 1
    jid = ARGV[2 + 2 * pairs_seen]
end
if pairs_seen > 0 then
    call('HINCRBY', KEYS[2], 'resumed', pairs_seen)
end
return {changed}
