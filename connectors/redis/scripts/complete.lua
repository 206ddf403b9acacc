-- complete: this job's run ended, and may have to be enqueued again
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 was  6 held  7 lease  8 done  9 chain  10 run_key  11 heldk  12 cap
--       13 fol
-- ARGV  1 run_id  2 jid  3 mode  4 member  5 ttl_ms  6 channel  7 lease  8 capacity  9 load  10 work  11 failed
--       12 done_ttl_ms  13 epoch_in  14 leave  15 limit_key  16 slot_ttl_ms  17 follows_up
-- OUT   {changed, next, waits, load, gauge}     gauge: fine, absent, wrong, work_wrong
-- TIME  the server's, never the caller's
-- AGAIN nothing changes; what is done is answered once more
-- COST  inner commands: 8 owner (9 with candidates), 7 otherwise, 5 told again; 2 more when jobs are held (1 with a
--       lease or a capacity). A lease: 7 more, with its end remembered (told again 1). A successor: 9 more with its
--       claim, 1 more when it waits, and what its gauges cost, or 2 for capacity slots; done by another run: 1 or 2 more. It
--       leaves: 5, with a lease 2 more. A limit by key: 1 more, and 3 or 4 when a successor waits, likewise with a lease
--       of job keys. It failed, runs have expired, its lease was lost: 1 more each. With follow-ups: 4 more, 2 more
--       when the claim goes to one (told again 1)
--
-- The claim ends with its owner's latest run: while another member runs the same job once more, the work is unfinished.
-- It goes on to the newest follow-up that is in the log, if there is one, which takes the successor's place; else to the
-- successor. A run that had expired leaves no record: nobody knows whether its work
-- ended before a candidate was produced. A slot or a lease that got free wakes the resumer, when there is something to
-- resume.
-- A run that had expired still continues its chain, unless another took its number over, or a later one has started; with
-- nothing to continue (a lease, no capacity) it ends nothing. One
-- that is held in the meantime took nothing over: it comes up again to find that it is done. So does a run that the store
-- lost since it was admitted (epoch_in is another than the current epoch), and that nobody has put back yet.
-- One that leaves did not end: its job is delivered again. It gives its slot and its lease back; claim, chain and counters
-- stay.
-- A run of a job that another run has ended changes nothing but its own slot, lease and claim. It is told the successor,
-- to enqueue it once more: whether the other one came to that is not known. Its claim goes on to that only while none
-- of that number has started: afterwards nothing is sure to come up.
-- A successor that waits counts as held from now on: newcomers go behind it, as in `admit`.
-- A capacity slot stays the job's until it is freed, so the load counts it; one that the store lost during the run is put
-- back first.

local jid, mode, member, ttl_ms, done_ttl_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[12]
local leased, capacity, failed, number = ARGV[7] ~= 'none', tonumber(ARGV[8]), ARGV[11] == '1', number_of(jid)
local brief_ms, slot_ttl_ms = brief_of(number, capacity, done_ttl_ms), tonumber(ARGV[16])
local follows_up = ARGV[17] == '1'
local remembers = leased or failed or not brief_ms or follows_up
local now_number = now_ms()
local now = digits(now_number)
local freed = reap(KEYS[4], now_number)
local left = call('ZREM', KEYS[4], member)
freed = freed + left
if ARGV[15] ~= '' then
    call('ZREM', KEYS[10], member)
end
if leased and call('HGET', KEYS[7], 'm') == member then
    call('HSET', KEYS[7], 'm', '')
    freed = freed + 1
    if left == 0 then
        count('leases_lost')
    end
end
if freed > 0 and held_by(KEYS[6]) > 0 then
    call('PUBLISH', ARGV[6], 'slot')
    if not leased and capacity == 0 then
        count('idle', -freed * idle_at(now_number))
    end
end

if ARGV[14] == '1' then
    return {left, '', 0, -1, 'fine'}
end

local done = remembers and call('HMGET', KEYS[8], 'm', 'next', 'waits') or {}
if done[1] == member then
    return {1, done[2], tonumber(done[3]), -1, 'fine'}
end

local chain = remembers and call('HMGET', KEYS[9], 'n', 'm') or {}

-- Was it this run that counted?
local function is_valid()
    local started, by = tonumber(chain[1]) or -1, chain[2]
    if started > number or started == number and by ~= '' and by ~= member then
        return false
    end
    local lost = remembers and (started < number or by == '') and ARGV[13] ~= '0' and ARGV[13] ~= epoch
    return left == 1 or failed or lost or not brief_ms and started == number and by == member
end

local load, trouble = -1, 'fine'

-- The successor's jid, and whether it waits; nil: there is none.
local function successor()
    if number >= LAST_NUMBER or not failed and capacity == 0 then
        return nil
    end
    local jid_of_it = chain_of(jid) .. '-' .. digits(number + 1)
    if failed then
        return jid_of_it, true
    end
    local work, work_trouble = gauge(ARGV[10])
    if work == 0 then
        return nil
    end
    if slot_ttl_ms > 0 then
        load = slots_taken(KEYS[12], now_number)
    else
        load, trouble = gauge(ARGV[9])
    end
    local waits = load >= capacity or trouble == 'wrong'
    if work_trouble == 'wrong' and trouble ~= 'wrong' then
        trouble = 'work_wrong'
    end
    return jid_of_it, waits
end

-- `at`: the position that enqueues the successor once more when it comes up again; empty: the first one that does, since
-- the job may be held in the meantime.
local function remember(next, waits, ms)
    local at = chain[2] == member and position_of(member) or ''
    call('HSET', KEYS[8], 'm', member, 'next', next, 'waits', waits and 1 or 0, 'at', at)
    call('PEXPIRE', KEYS[8], ms)
end

local valid = not done[1] and is_valid()
local claim = call('HMGET', KEYS[3], 'jid', 'run', 'nc', 'fu')
local ended = claim[1] == jid and (not claim[2] or claim[2] == member)
local heir, heir_number
if ended and claim[4] then
    local fol = call('HMGET', KEYS[13], 'jid', 'n', 'ep', 's')
    if fol[1] and fol[1] ~= jid and fol[3] == epoch and fol[4] == '0' then
        heir, heir_number = fol[1], fol[2]
    end
end
local next, waits
if valid and slot_ttl_ms > 0 and left == 0 and ARGV[13] ~= '0' and ARGV[13] ~= epoch then
    if slots_taken(KEYS[12], now_number) < capacity then
        call('ZADD', KEYS[12], 'NX', digits(now_number + slot_ttl_ms), jid)
    end
end
if valid and not heir then
    next, waits = successor()
elseif done[1] and done[2] ~= '' then
    next, waits = done[2], done[3] == '1'
end
if ended and left == 1 and tonumber(claim[3]) > 0 then
    call('SET', KEYS[5], 'until_executed', 'PX', ttl_ms)
end
local claims = next and not heir and mode ~= 'none' and (ended or not claim[1])
if not valid then
    claims = claims and ended and (tonumber(chain[1]) or -1) <= number
end
if heir then
    call('HSET', KEYS[3], 'jid', heir, 'st', 'q', 'ep', epoch, 'at', now, 'no', heir_number)
    call('HDEL', KEYS[3], 'run', 'cn', 'ca')
    call('PEXPIRE', KEYS[3], ttl_ms)
elseif ended and not claims then
    call('DEL', KEYS[3])
elseif claims then
    local fields = {'jid', next, 'st', waits and 'h' or 'q', 'ep', epoch, 'at', now, 'nc', 0}
    if ended then
        call('HDEL', KEYS[3], 'run', 'cn', 'ca')
    else
        for _, each in ipairs({'mode', mode, 'n', 0}) do
            table.insert(fields, each)
        end
    end
    call('HSET', KEYS[3], unpack(fields))
    call('PEXPIRE', KEYS[3], ttl_ms)
end
if done[1] then
    return {0, next or '', waits and 1 or 0, -1, 'fine'}
end
if next then
    remember(next, waits, tonumber(done_ttl_ms) > 0 and done_ttl_ms or DONE_MS)
    set_chain(KEYS[9], number, member)
    if waits then
        local keys = own_keys(jid, ARGV[15], ARGV[7])
        call('HINCRBY', KEYS[6], 'n', 1)
        if keys[1] and not failed then
            call('HINCRBY', KEYS[6], 'w', 1)
        end
        mark(KEYS[11], keys, now_number)
    end
    count('reenqueued')
elseif valid then
    if tonumber(done_ttl_ms) > 0 and (leased or capacity > 0 or follows_up) then
        remember('', false, done_ttl_ms)
    end
    if brief_ms and chain[1] then
        call('DEL', KEYS[9])
    elseif not brief_ms then
        call('PEXPIRE', KEYS[9], tonumber(done_ttl_ms) > 0 and done_ttl_ms or DONE_MS)
    end
end
if left == 0 and not ended and not valid then
    return {0, '', 0, load, trouble}
end
count('completed')
if failed then
    count('failed')
end
return {1, next or '', waits and 1 or 0, load, trouble}
