-- take: tickets for the jobs that are held longest
-- KEYS  1 epoch  2 stats  3 run  4 tkt  5 held  6 limits  7 lease  8 cap  9 claim  10 fol
-- ARGV  1 run_id  2 held_in  3 oldest_held_in  4 grace_ms  5 fresh  6 ahead_in  7 origin  8 follow_ups_in  9 items
-- OUT   {granted, limit, ahead, max_age_ms, running, tickets, reason, load, gauge, grants, per_key, now,
--       completed, missed, waited_ms, idle, busy}  granted: how many; ahead: as told, -1 for auto; grants: a letter for
--       each item, (y)es, (k)ey, (n)o; reason: none, grace, limit, capacity, lease, key, follow-up; gauge: fine, absent,
--       wrong; completed to idle: only with auto, else 0; busy: the origin's partitions, with blanks behind them
-- TIME  the server's, never the caller's
-- AGAIN the same items are granted again
-- COST  inner commands: 6, 2 more with an origin, 1 more when held_in is told, 1 more with items, 1 more for each new ticket; 1 or 2 more
--       with a lease of the class, 2 with a capacity; with a lease of job keys 1, and 1 or 2 for each key that is asked
--       about; with a limit by key 1, and 1 for each key; 1 more when runs have expired; with a
--       limit and ahead=auto 1, and 1 when ahead_in is new; 1 to 4 for each follow-up
--
-- A ticket holds no slot. As many are out as there are free slots, and `ahead` more, since a resumed job takes its time
-- to come up; as many as there are free leases; as many as the load is below the capacity. An item whose key's lease
-- is taken, or of whose limit's key as many run or have tickets as may, waits for that alone (k), and those behind it
-- may go. Without all that no tickets are needed; of a class that nobody has told anything of, none are given. A
-- follow-up waits (k) while another job has its claim, or a newer one may come; one that is not the newest goes at once.
-- The leases of job keys have names made
-- of KEYS 7, the runs of limits' keys names made of KEYS 3, claims of KEYS 9, their follow-ups of KEYS 10. `reason`: why
-- nothing is granted, or grace. Where newcomers go by it, `w` of `held` is how many of the items wait for the class's bar
-- alone.
-- An item is a jid, the key of its limit or "-", and 1 for a follow-up, with blanks between; what is not known is left
-- out at its end.

-- Where only keys bound them: newcomers look through all.
local TICKETS_MOST = 1000
-- JG_OP_BUSY_MOST of store.h.
local BUSY_MOST = 512

local held_in = tonumber(ARGV[2])
local now = now_ms()
reap(KEYS[3], now)
local told = call('HMGET', KEYS[6], 'override', 'limit', 'ahead', 'max_age', 'lease', 'capacity', 'load',
                        'per_key', 'paced')
local limit, auto = limit_by(told[1], told[2]), told[3] == 'auto'
local ahead = auto and tonumber(ARGV[6]) or tonumber(told[3]) or 0
local lease, capacity = told[5] or 'none', tonumber(told[6]) or 0
local per_key = tonumber(told[8]) or 0
local running, tickets = call('ZCARD', KEYS[3]), call('HLEN', KEYS[4])
local gated = limit ~= 0 or lease ~= 'none' or capacity > 0 or per_key > 0
local gives = limit and limit >= 0 and (not gated or settle(now, ARGV[4], ARGV[5]))
local load, trouble = -1, 'fine'
local bar = 'none'

local function may_take()
    local allowed = math.huge
    local function allow(most, reason)
        allowed = math.min(allowed, most)
        bar = bar == 'none' and most <= 0 and reason or bar
    end
    if limit > 0 then
        allow(math.max(0, limit - running) + ahead - tickets, 'limit')
    end
    if capacity > 0 then
        if told[7] == LOAD_SLOTS then
            load = slots_taken(KEYS[8], now)
        else
            load, trouble = gauge(told[7] or '')
        end
        local room = trouble == 'wrong' and 0 or math.max(0, capacity - math.max(0, load))
        allow(room - tickets, 'capacity')
    end
    if lease == 'key' or per_key > 0 then
        allow(TICKETS_MOST - tickets, 'limit')
    end
    if lease == 'class' then
        local free = lease_lives(KEYS[3], call('HGET', KEYS[7], 'm')) and 0 or 1
        allow(free - tickets, 'lease')
    end
    return allowed
end

-- Why this job has to wait for its own key: others of it have tickets, run, or have the lease. What was found of a key
-- holds until a ticket is given, which is counted.
local by_limit, by_job, busy = nil, nil, {}
local function key_waits(jid, limit_key)
    if lease ~= 'key' and per_key == 0 then
        return nil
    end
    if not by_limit then
        by_limit, by_job = tickets_by_key(KEYS[4])
    end
    if per_key > 0 and limit_key ~= '-' then
        if not busy[limit_key] then
            busy[limit_key] = call('ZCOUNT', KEYS[3] .. ':' .. limit_key, '(' .. digits(now), '+inf')
        end
        if busy[limit_key] + (by_limit[limit_key] or 0) >= per_key then
            return 'key'
        end
    end
    local key = string.sub(jid, 1, 32)
    if lease == 'key' and
       (by_job[key] or lease_lives(KEYS[3], call('HGET', KEYS[7] .. ':' .. key, 'm'))) then
        by_job[key] = by_job[key] or 0
        return 'lease'
    end
    return nil
end

-- Where jobs of this topic run, or have come back to.
local function busy_of(origin)
    local found, head = {}, origin .. '/'
    local function add(position)
        local number = string.sub(position, 1, #head) == head and string.match(position, '^(%d+)/%d+$', #head + 1)
        found[#found + 1] = number and number .. ' ' or nil
    end
    if running + tickets > BUSY_MOST then
        return ''
    end
    -- A user whose rights are those that an earlier version asked for goes without: what comes next is the oldest.
    for _, member in ipairs(redis.pcall('ZRANGE', KEYS[3], 0, -1)) do
        add(position_of(member))
    end
    local all = call('HGETALL', KEYS[4])
    for index = 2, #all, 2 do
        add(string.match(all[index], '^%d+ (%S*)') or '')
    end
    return table.concat(found)
end

-- Has it to wait for its original, or another one that has the claim, or puts it back yet? `gone`: it is not the newest,
-- and will be skipped.
local function follow_up_waits(jid)
    local key = string.sub(jid, 1, 32)
    local fol = follow_ups(KEYS[10] .. ':' .. key)
    if fol.jid and fol.jid ~= jid then
        return false, true
    end
    local claim = call('HMGET', KEYS[9] .. ':' .. key, 'jid', 'st', 'ep', 'run')
    if claim[1] and claim[1] ~= jid and claim[3] == epoch then
        return claim[2] ~= 'r' or lease_lives(KEYS[3], claim[4])
    end
    if claim[1] ~= jid and claim[3] ~= epoch and not settle(now, ARGV[4], ARGV[5]) then
        bar = 'grace'
        return true
    end
    return fol.jid and fol.u > fol.n and fol.ue > now
end

local allowed = gives and math.max(0, may_take())
local granted, grants, given = 0, {}, {}

-- A ticket that is there is granted again, also behind the class's bar: else it would serve nobody.
local function grant(jid, limit_key, ticket, follows)
    if not gives then
        return 'n'
    end
    local waits, gone = false, false
    if follows and not ticket and not given[jid] then
        waits, gone = follow_up_waits(jid)
    end
    if waits then
        bar = bar == 'none' and 'follow-up' or bar
        return 'k'
    end
    if gated and not ticket and not given[jid] and not gone then
        -- Once the class's bar is met, it is the answer to all that have no ticket.
        local waits = allowed > -1 and key_waits(jid, limit_key)
        if waits then
            bar = bar == 'none' and waits or bar
            return 'k'
        end
        if allowed <= 0 then
            allowed = -1
            return 'n'
        end
        local known = limit_key ~= '-' and ' ' .. limit_key or ''
        call('HSET', KEYS[4], jid, digits(now) .. ' ' .. known)
        allowed, tickets, given[jid] = allowed - 1, tickets + 1, true
        if by_limit then
            local key = string.sub(jid, 1, 32)
            by_job[key] = (by_job[key] or 0) + 1
            by_limit[limit_key] = (by_limit[limit_key] or 0) + 1
        end
    end
    granted = granted + 1
    return 'y'
end

local jids, limit_keys, follow = {}, {}, {}
for index = 9, #ARGV do
    jids[index - 8], limit_keys[index - 8], follow[index - 8] = string.match(ARGV[index], '^(%S+) ?(%S*) ?(%S*)')
end
local there = gives and gated and ARGV[9] and call('HMGET', KEYS[4], unpack(jids)) or {}
local barred, followed = 0, 0
for index, jid in ipairs(jids) do
    local limit_key = limit_keys[index] ~= '' and limit_keys[index] or '-'
    grants[index] = grant(jid, limit_key, there[index], follow[index] == '1')
    followed = followed + (follow[index] == '1' and grants[index] == 'y' and 1 or 0)
    barred = barred + (grants[index] == 'n' and 1 or 0)
end
if held_in > granted then
    local still = {'n', digits(held_in - granted), 'oldest', ARGV[3], 'f', digits(math.max(0, ARGV[8] - followed))}
    if lease == 'key' or per_key > 0 then
        table.insert(still, 'w')
        table.insert(still, barred)
    end
    call('HSET', KEYS[5], unpack(still))
elseif held_in >= 0 then
    call('DEL', KEYS[5])
end
local reason = granted == 0 and ARGV[9] and bar or 'none'
if (limit or -1) >= 0 and not gives or bar == 'grace' then
    reason = 'grace'
end
local out = {granted, limit or 0, auto and -1 or ahead, tonumber(told[4]) or 0, running, tickets, reason, load, trouble,
             table.concat(grants), per_key, now, 0, 0, 0, 0, ARGV[7] ~= '' and busy_of(ARGV[7]) or ''}
-- What the resumer finds its next ahead_in by; `idle` begins anew before it grows too large for a number.
if auto and (limit or 0) > 0 then
    if told[9] ~= ARGV[6] then
        call('HSET', KEYS[6], 'paced', ARGV[6])
    end
    for i, value in ipairs(call('HMGET', KEYS[2], 'completed', 'missed', 'waited_ms', 'idle')) do
        out[12 + i] = tonumber(value) or 0
    end
    if math.abs(out[16]) > 1e15 then
        call('HDEL', KEYS[2], 'idle')
    end
end
return out
