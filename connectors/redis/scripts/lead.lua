-- lead: be, or stay, the only resumer of a consumer group
-- KEYS  1 epoch  2 stats  3 lead  4 announced
-- ARGV  1 run_id  2 member  3 run_ttl_ms  4 leave  5 channel
-- OUT   {changed, other, left_ms, generation}     changed: this instance leads
-- TIME  the server's, never the caller's
-- AGAIN who leads goes on leading, its time starts once more
-- COST  inner commands: 4, 5 when it leaves
--
-- That two may believe to lead after the store lost its data does no harm: Kafka fences the older one.

local member = ARGV[2]
local leader = call('GET', KEYS[3]) or ''
local generation = tonumber(call('GET', KEYS[4])) or 0
if ARGV[4] == '1' then
    if leader ~= member then
        return {0, leader, math.max(0, call('PTTL', KEYS[3])), generation}
    end
    call('DEL', KEYS[3])
    call('PUBLISH', ARGV[5], 'lead')
    return {0, '', 0, generation}
end
if leader ~= '' and leader ~= member then
    return {0, leader, math.max(0, call('PTTL', KEYS[3])), generation}
end
call('SET', KEYS[3], member, 'PX', ARGV[3])
return {1, member, tonumber(ARGV[3]), generation}
