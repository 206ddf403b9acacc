-- group: does this consumer group execute this topic?
-- KEYS  1 epoch  2 stats  3 group
-- ARGV  1 run_id  2 member  3 run_ttl_ms  4 leave  5 force
-- OUT   {changed, other}     changed: the topic is this group's
-- TIME  the server's, never the caller's
-- AGAIN whose topic it is goes on having it, its time starts once more
-- COST  inner commands: 3, 2 when nothing changes
--
-- An empty name only asks.

local member, force = ARGV[2], ARGV[5] == '1'
local has = call('GET', KEYS[3]) or ''
if ARGV[4] == '1' then
    if has ~= '' and (has == member or force) then
        call('DEL', KEYS[3])
        has = ''
    end
    return {0, has}
end
if member == '' or has ~= '' and has ~= member and not force then
    return {0, has}
end
call('SET', KEYS[3], member, 'PX', ARGV[3])
return {1, member}
