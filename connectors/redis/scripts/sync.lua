-- sync: what an instance's settings say of a class, and the override that it last saw
-- KEYS  1 epoch  2 stats  3 limits  4 instances
-- ARGV  1 run_id  2 member  3 limit  4 run_ttl_ms  5 ahead  6 max_age_ms  7 override  8 override_at_ms
--       9 override_now  10 channel  11 lease  12 capacity  13 load  14 work  15 per_key
-- OUT   {override, at_ms}     override: a number, or default
-- TIME  the server's, never the caller's
-- AGAIN the same is stored; an override that is set now is set a little later
-- COST  inner commands: 6, 2 more for an override that is new; 5 to set one; 2 or more when there are many instances
--
-- Of two overrides the one set later counts, so that the instances bring it back into a store that lost its data.

local LISTED, LISTED_MS = 16, 60000
local now = now_ms()

local function forget_old()
    if call('HLEN', KEYS[4]) <= LISTED then
        return
    end
    local all = call('HGETALL', KEYS[4])
    for i = 1, #all, 2 do
        local told = tonumber(string.match(all[i + 1], ' (%d+)$'))
        if not told or told < now - LISTED_MS then
            call('HDEL', KEYS[4], all[i])
        end
    end
end

local told = call('HMGET', KEYS[3], 'override', 'per_key')
local override, at = string.match(told[1] or '', '^(%S+) (%d+)$')
override, at = override or 'default', tonumber(at) or 0
local by_hand = ARGV[9] == '1'
if not by_hand then
    local fields = {'limit', ARGV[3], 'ttl', ARGV[4], 'ahead', ARGV[5], 'max_age', ARGV[6], 'lease', ARGV[11],
                    'capacity', ARGV[12], 'load', ARGV[13], 'work', ARGV[14]}
    if ARGV[15] ~= '0' or told[2] then
        table.insert(fields, 'per_key')
        table.insert(fields, ARGV[15])
    end
    call('HSET', KEYS[3], unpack(fields))
    call('HSET', KEYS[4], ARGV[2], ARGV[3] .. ' ' .. digits(now))
    forget_old()
end
if by_hand or tonumber(ARGV[8]) > at then
    override, at = ARGV[7], by_hand and math.max(now, at + 1) or tonumber(ARGV[8])
    call('HSET', KEYS[3], 'override', override .. ' ' .. digits(at))
    call('PUBLISH', ARGV[10], 'slot')
end
return {override, at}
