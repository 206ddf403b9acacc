-- mark: there are held jobs of these keys, or none any more
-- KEYS  1 epoch  2 stats  3 heldk
-- ARGV  1 run_id  2 leave  3 items
-- OUT   {changed}     changed: one was new, or went
-- TIME  the server's, never the caller's
-- AGAIN the marks' time starts once more, or nothing changes
-- COST  inner commands: 5, 4 to remove, 2 without items
--
-- Items are keys of limits, or job keys where leases are theirs. A mark sends newcomers of its key through the holding
-- topic, and is forgotten after a while without this.

local keys, key = {}, ARGV[3]
while key do
    table.insert(keys, key)
    key = ARGV[3 + #keys]
end
local now, changed = now_ms(), 0
if keys[1] then
    call('ZREMRANGEBYSCORE', KEYS[3], '-inf', digits(now))
end
if keys[1] and ARGV[2] == '1' then
    changed = call('ZREM', KEYS[3], unpack(keys))
elseif keys[1] then
    local scored = {}
    for _, key in ipairs(keys) do
        table.insert(scored, digits(now + 600000))
        table.insert(scored, key)
    end
    changed = call('ZADD', KEYS[3], unpack(scored))
    call('PEXPIRE', KEYS[3], 600000)
end
return {changed > 0 and 1 or 0}
