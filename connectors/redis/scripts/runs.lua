-- runs: leases, keys, chains, gauges and capacity slots; the loader puts it in front of the scripts that start, keep
-- and end runs
-- KEYS  1 epoch  2 stats
-- ARGV  1 run_id
-- TIME  the server's, never the caller's
--
-- A gauge is a key of the application's own, so it has no place in KEYS, whose names are ours: it is named in ARGV, and
-- read whatever it is. On a single Redis any key will do; in a cluster it has to hash to the class's slot. What cannot
-- be read (another type, no permission, another slot) is wrong, and fails no script.
-- Cost: reap: 1 inner command, 2 when runs have expired; gauge: 2, 1 when the key does not exist; lease_lives: 1 when the
-- lease has an owner; key_runs: 2; keep_key_run: 2; mark: 2, and 1 for each key; tickets_by_key: 1; slots_taken: 2.

-- These stand in store.h too.
local DONE_MS, CHAIN_MS = '600000', '2592000000'
local LEASE_FREE_MS = 3600000
local LAST_NUMBER = 9999999999
local MARK_MS = 600000
-- A gauge that is none: no key of one begins so. The load is how many capacity slots are taken.
local LOAD_SLOTS = '//slots'
-- Longer than any run outlives its heartbeat, whatever the settings are.
local RUN_KEY_MS = '172800000'
local IDLE_CYCLE_MS = 1000000000

local function chain_of(jid)
    return string.sub(jid, 1, 53)
end

local function number_of(jid)
    return tonumber(string.match(string.sub(jid, 54), '^%-(%d+)$')) or 0
end

local function position_of(member)
    return string.match(member, '^[^@]*@[^@]*@(.*)$') or ''
end

-- Remove the runs that were not renewed in time. Returns how many there were.
local function reap(run_key, now)
    local lost = call('ZREMRANGEBYSCORE', run_key, '-inf', digits(now))
    if lost > 0 then
        count('runs_lost', lost)
    end
    return lost
end

-- `idle` of `stats` is the sum of the times at which tickets took slots, less the times at which slots got free while
-- jobs were held: with the numbers of free slots then and now, the difference of two readings tells for how long slots
-- stood idle between them. The times are cut short, so that the sum stays small.
local function idle_at(now)
    return now % IDLE_CYCLE_MS
end

local function lease_lives(run_key, owner)
    return owner and owner ~= '' and call('ZSCORE', run_key, owner)
end

-- How many runs of a limit's key live. They are members of `run`, too, and expire with that.
local function key_runs(run_key, now)
    call('ZREMRANGEBYSCORE', run_key, '-inf', digits(now))
    return call('ZCARD', run_key)
end

local function keep_key_run(run_key, member, expires)
    call('ZADD', run_key, digits(expires), member)
    call('PEXPIRE', run_key, RUN_KEY_MS)
end

-- What others of its kind go behind: the key of its limit, and of its lease where that is the job's.
local function own_keys(jid, limit_key, lease)
    local keys = {}
    if limit_key ~= '' then
        table.insert(keys, limit_key)
    end
    if lease == 'key' then
        table.insert(keys, string.sub(jid, 1, 32))
    end
    return keys
end

-- Jobs of these keys are held from now on.
local function mark(heldk, keys, now)
    for _, key in ipairs(keys) do
        call('ZADD', heldk, digits(now + MARK_MS), key)
    end
    if keys[1] then
        call('ZREMRANGEBYSCORE', heldk, '-inf', digits(now))
        call('PEXPIRE', heldk, digits(MARK_MS))
    end
end

-- How many tickets are out, by the limit's key and by the job's.
local function tickets_by_key(tkt)
    local by_limit, by_job = {}, {}
    local all = call('HGETALL', tkt)
    for index = 1, #all, 2 do
        local limit_key = string.match(all[index + 1], '^%d+ %S* (%S+)$')
        local job_key = string.sub(all[index], 1, 32)
        by_job[job_key] = (by_job[job_key] or 0) + 1
        if limit_key then
            by_limit[limit_key] = (by_limit[limit_key] or 0) + 1
        end
    end
    return by_limit, by_job
end

-- `brief_ms`: how long it is kept of a job that begins no chain, as far as is known.
local function set_chain(chain_key, number, member, brief_ms)
    call('HSET', chain_key, 'n', digits(number), 'm', member)
    call('PEXPIRE', chain_key, brief_ms or CHAIN_MS)
end

-- As said there; nil: it is in a chain, by its class or its number.
local function brief_of(number, capacity, done_ttl_ms)
    if number > 0 or capacity > 0 then
        return nil
    end
    return tonumber(done_ttl_ms) > 0 and done_ttl_ms or DONE_MS
end

local SIZES = {list = 'LLEN', set = 'SCARD', zset = 'ZCARD', hash = 'HLEN', stream = 'XLEN'}

-- Its value (-1: none), and its trouble: fine, absent, wrong.
local function gauge(key)
    if key == '' then
        return -1, 'fine'
    end
    local kind = redis.pcall('TYPE', key).ok
    if kind == 'none' then
        return 0, 'absent'
    end
    if kind == 'string' then
        local whole = redis.pcall('GETRANGE', key, 0, 31)
        whole = type(whole) == 'string' and #whole < 32 and string.match(whole, '^(%d+)%.?%d*$')
        if whole and #whole < 16 then
            return tonumber(whole), 'fine'
        end
    elseif SIZES[kind] then
        local size = redis.pcall(SIZES[kind], key)
        if type(size) == 'number' then
            return size, 'fine'
        end
    end
    return -1, 'wrong'
end

-- How many capacity slots of the class are taken; those whose time is over go.
local function slots_taken(slots_key, now)
    call('ZREMRANGEBYSCORE', slots_key, '-inf', digits(now))
    return call('ZCARD', slots_key)
end
