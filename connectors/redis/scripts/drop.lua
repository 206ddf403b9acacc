-- drop: these tickets serve nobody any more
-- KEYS  1 epoch  2 stats  3 tkt  4 held
-- ARGV  1 run_id  2 channel  3 items
-- OUT   {changed}
-- TIME  the server's, never the caller's
-- AGAIN nothing changes
-- COST  inner commands: 1, 1 for each item, 1 or 2 more when a ticket went

local dropped, index, jid = 0, 3, ARGV[3]
while jid do
    dropped = dropped + call('HDEL', KEYS[3], jid)
    index = index + 1
    jid = ARGV[index]
end
if dropped > 0 and held_by(KEYS[4]) > 0 then
    call('PUBLISH', ARGV[2], 'slot')
end
return {dropped > 0 and 1 or 0}
