-- take: tickets for the jobs that are held longest
-- KEYS  1 epoch  2 stats  3 run  4 tkt  5 held  6 limits
-- ARGV  1 run_id  2 held_in  3 oldest_held_in  4 grace_ms  5 fresh  6 items
-- OUT   {granted, limit, ahead, max_age_ms, running, tickets, reason}     reason: none, grace
-- TIME  the server's, never the caller's
-- AGAIN the same items are granted again
-- COST  inner commands: 6, 1 more when held_in is told, 2 more for each ticket, 1 for each that was there
--
-- A ticket holds no slot. As many are out as there are free slots, and `ahead` more, since a resumed job takes its time
-- to come up. Without a limit no tickets are needed; of a class that nobody has told anything of, none are given.

local held_in = tonumber(ARGV[2])
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', digits(now))
local told = redis.call('HMGET', KEYS[6], 'override', 'limit', 'ahead', 'max_age')
local limit, ahead = limit_by(told[1], told[2]), tonumber(told[3]) or 0
local running, tickets = redis.call('ZCARD', KEYS[3]), redis.call('HLEN', KEYS[4])
local gives = limit == 0 or limit and limit > 0 and settle(now, ARGV[4], ARGV[5])
local allowed = gives and math.max(0, limit - running) + ahead - tickets
local granted, item = 0, gives and ARGV[6]
while item do
    if limit ~= 0 and redis.call('HEXISTS', KEYS[4], item) == 0 then
        if allowed <= 0 then
            break
        end
        redis.call('HSET', KEYS[4], item, digits(now) .. ' ')
        allowed, tickets = allowed - 1, tickets + 1
    end
    granted = granted + 1
    item = ARGV[6 + granted]
end
if held_in > granted then
    redis.call('HSET', KEYS[5], 'n', digits(held_in - granted), 'oldest', ARGV[3])
elseif held_in >= 0 then
    redis.call('DEL', KEYS[5])
end
local reason = (limit or 0) > 0 and not gives and 'grace' or 'none'
return {granted, limit or 0, ahead, tonumber(told[4]) or 0, running, tickets, reason}
