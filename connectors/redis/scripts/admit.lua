-- admit: may this job start now?
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 was  6 was_original  7 tkt  8 held  9 limits  10 lease  11 done  12 chain
--       13 run_key  14 heldk  15 cap  16 fol  17 done_original
-- ARGV  1 run_id  2 jid  3 mode  4 member  5 candidate_of  6 run_ttl_ms  7 ttl_ms  8 limit
--       9 resumed  10 last_try  11 fresh  12 grace_ms  13 hold_max  14 channel  15 lease  16 lease_skips
--       17 capacity  18 load  19 done_ttl_ms  20 provisional_ms  21 limit_key  22 per_key
--       23 slot_ttl_ms  24 follow_up
-- OUT   {verdict, original, epoch, reason, token, next, waits, load, gauge}     verdict: run, skip, hold, later; reason:
--       none, limit, behind, paused, grace, full, lease, capacity, key, follow-up, done, taken, copy; gauge: fine,
--       absent, wrong
-- TIME  the server's, never the caller's
-- AGAIN who is no candidate never gets skip, but for leases and chains. A candidate that got run may get skip, but only
--       once its original is certain to come up, or came up, after the candidate was produced; while its run is a member
--       (of any class but a plain until_executing one) it gets run. One that got skip may get run when that knowledge
--       has expired. Run stays run, with its token, while the member lives; hold may become run, and is counted once
--       more; later decided nothing. Done, taken and copy stay while that is known; taken becomes done.
-- COST  inner commands without a limit: until_executing 4 owner (5 with candidates), 3 otherwise; until_executed 8
--       owner, 6 otherwise; a candidate: 1 or 2 more; resumed: 1 more, with a ticket and a limit 3. With a limit:
--       until_executing 8 more, until_executed 5 more (4 and 1 when the member runs already); held 11 at most, 2 more the
--       claim's owner, 1 with a ticket. A lease without a limit: until_executing 14 more (6 when the member runs
--       already), held 14, 2 more where others end as no-ops, 2 more when it has an owner; a capacity: 12 more, and 1 when its gauge exists; by
--       slots 15 more, 2 of them when the member runs already; done or a copy: 3 to 6 more. 1 more when runs have expired, and when the lease was one's that has. A limit by key without another:
--       until_executing 12 more (6 when the member runs already), held 13 at most; 2 or 3 more with tickets out. With
--       what else is asked for likewise; where a lease is the job key's, 2 or 3 more when held, as with tickets out. A
--       follow-up, without what else is asked for: 15 with the claim, 2 to 6 more to get it, held 14, skipped 8; an
--       owner that is newer than follow-ups: 3 more
--
-- With a limit by key, or a lease of job keys that newcomers wait for, newcomers go behind held jobs of their own key
-- alone; and behind all that could go but for the class's own bar (`w` of `held`; tickets that are out).
-- A follow-up is skipped when a newer one is in the log, or a newer job has the claim. It is held while another job has
-- the claim, or while a newer one may come; else the claim is its own from then on, unless its original may yet put it
-- back, after a loss of data. Whoever has the claim never waits for follow-ups: those that are held (`f` of `held`) stand
-- in nobody's way. One that gets the claim of an original whose run has died does that one's work, too: should it come up
-- again, it is done.

local jid, mode, member, candidate_of, run_ttl_ms, ttl_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local own_limit, resumed, last_try, hold_max = tonumber(ARGV[8]), ARGV[9] == '1', ARGV[10] == '1', tonumber(ARGV[13])
local leased, lease_skips, capacity = ARGV[15] ~= 'none', ARGV[16] == '1', tonumber(ARGV[17])
local done_ttl_ms, provisional_ms, number = ARGV[19], ARGV[20], number_of(jid)
local limit_key, per_key, keyed = ARGV[21], tonumber(ARGV[22]), ARGV[21] ~= ''
local slot_ttl_ms, own_slot, follow_up = tonumber(ARGV[23]), 0, tonumber(ARGV[24])
local executed = mode == 'until_executed'
local gated = own_limit ~= 0 or leased or capacity > 0 or keyed
local keys = own_keys(jid, limit_key, lease_skips and 'none' or ARGV[15])
-- It waits for what is the whole class's.
local waits_for_class = false
-- Such a run is a member of `run` until it is completed.
local lasts = executed or gated
local brief_ms = brief_of(number, capacity, done_ttl_ms)
local recorded = leased or not brief_ms
local claim = call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'nc', 'cn', 'ca', 'run', 'no', 'fu')
local owner, state, claim_epoch, candidates = claim[1], claim[2], claim[3], tonumber(claim[4]) or 0
local heirs = {claim[5], claim[6]}
local load, load_trouble = -1, 'fine'
local lease, chain = {}, {}
local now, taken

local function answer(verdict, reason, original, token, next, waits)
    return {verdict, original or '', tonumber(epoch), reason, token or 0, next or '', tonumber(waits) or 0, load,
            load_trouble}
end

-- Is the original certain to come up after this candidate was produced, or did it? For until_executed it is enough that
-- its work was unfinished then. A running original says nothing about when it started: `renew` may have put its state
-- back after the store lost the start; and one that is no longer renewed may have ended before.
local function original_stands()
    if owner == candidate_of and claim_epoch == epoch then
        local runs = executed and state == 'r' and claim[7] and call('ZSCORE', KEYS[4], claim[7])
        if state == 'q' or state == 'h' or runs then
            return true
        end
    end
    local was = call('GET', KEYS[6])
    return was == 'until_executing' or executed and was == 'until_executed'
end

-- What is said to a follow-up that does not run yet: hold, later, or skip and whose duplicate it is; nil: it has the claim, or gets it.
local function follow()
    local fol = follow_ups(KEYS[16])
    if owner ~= jid then
        if fol.n > follow_up then
            return 'skip', fol.jid or candidate_of
        end
        local current = owner and claim_epoch == epoch
        local expires = current and state == 'r' and claim[7] and call('ZSCORE', KEYS[4], claim[7])
        local runs = expires and tonumber(expires) > now
        if current and follow_up < (tonumber(claim[8]) or 0) and (state == 'q' or state == 'h' or runs) then
            return 'skip', owner
        end
        if not current and call('EXISTS', KEYS[17]) == 0 and not settle(now, ARGV[12], ARGV[11]) then
            return 'later'
        end
        local moved = note_follow_up(KEYS[16], KEYS[3], fol, owner, current and state ~= 'r', jid, follow_up, ttl_ms)
        if not moved and current and (state ~= 'r' or runs) then
            call('HSET', KEYS[3], 'fu', 1)
            return 'hold'
        end
        if current and owner == candidate_of and not moved and tonumber(done_ttl_ms) > 0 then
            call('HSET', KEYS[17], 'm', '', 'next', '', 'waits', 0, 'at', '')
            call('PEXPIRE', KEYS[17], done_ttl_ms)
        end
        if not moved then
            call('HSET', KEYS[3], 'jid', jid, 'st', 'q', 'ep', epoch, 'at', digits(now), 'mode', mode,
                       'no', digits(follow_up), 'n', 0, 'nc', candidates, 'fu', 1)
            call('PEXPIRE', KEYS[3], ttl_ms)
        end
        forget(KEYS[3], heirs, jid, 'run')
        owner, state = jid, 'q'
    end
    if state ~= 'r' and fol.u > follow_up and fol.ue > now then
        return 'hold'
    end
    return nil
end

-- It ends here: its ticket serves another, its claim goes to an heir.
local function skip(counter)
    if owner ~= jid then
        forget(KEYS[3], heirs, jid)
    elseif state ~= 'r' then
        pass_on(KEYS[3], heirs, claim_epoch, ttl_ms, provisional_ms)
    end
    if resumed and call('HDEL', KEYS[7], jid) == 1 and held_by(KEYS[8]) > 0 then
        call('PUBLISH', ARGV[14], 'slot')
    end
    count(counter)
end

-- Who holds the lease: nobody (nil), or (lease) a run that this job waits for; (taken) it ends as a no-op instead. Only
-- one that nothing was promised to does: it never started, nor was held, nor succeeds another, nor stands for others as
-- a follow-up; else it would be lost.
local function lease_bars()
    if not leased then
        return nil
    end
    lease = call('HMGET', KEYS[10], 'm', 'tok')
    if not lease_lives(KEYS[4], lease[1]) then
        return nil
    end
    local is_new = number == 0 and follow_up == 0 and not resumed and not chain[1] and chain_of(lease[1]) ~= chain_of(jid)
    return lease_skips and is_new and 'taken' or 'lease'
end

-- Has this position to enqueue the job again, since its run may not have? Only where it ran: another one is a copy, and
-- if each enqueued one more, copies would be as immortal as their chain. One that was held while it ran elsewhere
-- stands for that; where it comes up is not known before.
local function is_next_due(done)
    if done[2] == '' then
        return false
    end
    if done[4] == '' then
        done[4] = position_of(member)
        call('HSET', KEYS[11], 'at', done[4])
    end
    return done[4] == position_of(member)
end

-- Do others go before it, although it could run? Without keys whatever is held, or has a ticket. Else tickets that
-- take all that is free, and held jobs that wait for the class alone; and those of its own keys.
local function goes_behind(limit)
    if not keys[1] then
        return held_before(KEYS[8]) > 0 or call('HLEN', KEYS[7]) > 0
    end
    local tickets = call('HLEN', KEYS[7])
    waits_for_class = (tonumber(call('HGET', KEYS[8], 'w')) or 0) > 0 or
                      limit > 0 and call('ZCARD', KEYS[4]) + tickets >= limit or
                      capacity > 0 and load - own_slot + tickets >= capacity or ARGV[15] == 'class' and tickets > 0
    if waits_for_class then
        return true
    end
    for _, key in ipairs(keys) do
        if (tonumber(call('ZSCORE', KEYS[14], key)) or 0) > now then
            return true
        end
    end
    if tickets == 0 then
        return false
    end
    local by_limit, by_job = tickets_by_key(KEYS[7])
    return keyed and key_runs(KEYS[13], now) + (by_limit[limit_key] or 0) >= per_key or
           ARGV[15] == 'key' and not lease_skips and by_job[string.sub(jid, 1, 32)]
end

-- What is said to a job that does not run yet. The resumer's tickets go before newcomers, who go behind what is held:
-- else those would starve.
local function ask()
    local limit = limit_by(call('HGET', KEYS[9], 'override'), own_limit)
    if limit < 0 then
        waits_for_class = true
        return 'hold', 'paused'
    end
    if limit == 0 and not leased and capacity == 0 and not keyed then
        return 'run', 'none'
    end
    if not settle(now, ARGV[12], ARGV[11]) then
        return 'later', 'grace'
    end
    if slot_ttl_ms > 0 then
        load, own_slot = slots_taken(KEYS[15], now), call('ZSCORE', KEYS[15], jid) and 1 or 0
    elseif capacity > 0 then
        load, load_trouble = gauge(ARGV[18])
    end
    local lease_bar = lease_bars()
    local function bar()
        waits_for_class = true
        if limit > 0 and call('ZCARD', KEYS[4]) >= limit then
            return 'limit'
        end
        if capacity > 0 and (load - own_slot >= capacity or load_trouble == 'wrong') then
            return 'capacity'
        end
        waits_for_class = ARGV[15] == 'class' and lease_bar
        if keyed and not waits_for_class and key_runs(KEYS[13], now) >= per_key then
            return 'key'
        end
        return lease_bar
    end
    local ticket = resumed and call('HGET', KEYS[7], jid)
    if ticket then
        taken = limit > 0 and tonumber(string.match(ticket, '^%d+'))
        local reason = bar()
        return reason and (last_try and 'hold' or 'later') or 'run', reason or 'none'
    end
    if lease_bar == 'taken' then
        return 'skip', 'taken'
    end
    -- With no room to be held, a newcomer takes a free slot out of turn: what is held comes back behind it in the same
    -- partition, so it must not wait for that.
    local full = not resumed and hold_max > 0 and held_by(KEYS[8]) >= hold_max
    if not full and not keys[1] and goes_behind(limit) then
        return 'hold', 'behind'
    end
    local reason = bar()
    if reason then
        return full and 'later' or 'hold', full and 'full' or reason
    end
    if not full and keys[1] and goes_behind(limit) then
        return 'hold', 'behind'
    end
    return 'run', 'none'
end

-- A held job comes up again, so its claim is certain, also when a run of it that is no longer here was the last. A
-- candidate stays one: it may yet become heir. It comes up at
-- another position, which is no copy then; but it may come up here once more before, and is no no-op.
local function hold(reason)
    if resumed and call('HDEL', KEYS[7], jid) == 1 and reason == 'limit' then
        count('missed')
    end
    call('HINCRBY', KEYS[8], 'n', 1)
    if reason == 'follow-up' then
        call('HINCRBY', KEYS[8], 'f', 1)
        keys = {}
    end
    if keys[1] and waits_for_class then
        call('HINCRBY', KEYS[8], 'w', 1)
    end
    mark(KEYS[14], keys, now)
    if owner == jid and (state ~= 'r' or claim[9]) then
        call('HSET', KEYS[3], 'st', 'h', 'ep', epoch)
        call('PEXPIRE', KEYS[3], ttl_ms)
    end
    local promised = leased and lease_skips and number == 0 and not resumed and not chain[1]
    if promised or tonumber(chain[1]) == number and chain[2] ~= '' then
        set_chain(KEYS[12], number, '', brief_ms)
    end
    count('held')
end

-- The token. A run that is told again has it already, or has no lease, when its class had none at its start.
local function take_lease(runs)
    local token = tonumber(lease[2]) or 0
    if runs then
        lease = call('HMGET', KEYS[10], 'm', 'tok')
        if lease[1] ~= member then
            return 0
        end
        token = tonumber(lease[2])
    else
        if lease[1] and lease[1] ~= '' then
            count('leases_lost')
        end
        token = math.max(token + 1, now)
        call('HSET', KEYS[10], 'm', member, 'tok', digits(token))
    end
    call('PEXPIRE', KEYS[10], digits(tonumber(run_ttl_ms) + LEASE_FREE_MS))
    return token
end

-- Its own capacity slot, which outlives the run. One that runs already has it, unless it was freed: that is no reason to
-- take another.
local function take_slot(runs)
    if not runs or (tonumber(call('ZSCORE', KEYS[15], jid)) or 0) > now then
        call('ZADD', KEYS[15], digits(now + math.max(slot_ttl_ms, tonumber(run_ttl_ms))), jid)
    end
end

if lasts or follow_up > 0 then
    now = now_ms()
end
if lasts then
    reap(KEYS[4], now)
end
local candidate = candidate_of ~= '' and owner ~= jid
local remembers = recorded or tonumber(done_ttl_ms) > 0
local runs = lasts and (candidate or follow_up > 0 or gated or remembers) and call('ZSCORE', KEYS[4], member)
if remembers and not runs then
    local done = call('HMGET', KEYS[11], 'm', 'next', 'waits', 'at')
    if done[1] then
        skip('skipped')
        if not is_next_due(done) then
            return answer('skip', 'done')
        end
        return answer('skip', 'done', '', 0, done[2], done[3])
    end
end
if recorded and not runs then
    chain = call('HMGET', KEYS[12], 'n', 'm')
    local started = tonumber(chain[1]) or -1
    if started > number or started == number and chain[2] ~= '' and position_of(chain[2]) ~= position_of(member) then
        skip('skipped')
        return answer('skip', 'copy')
    end
end
if follow_up > 0 and not runs then
    local verdict, original = follow()
    if verdict == 'skip' then
        skip('skipped')
        return answer('skip', 'none', original)
    elseif verdict == 'hold' then
        hold('follow-up')
        return answer('hold', 'follow-up')
    elseif verdict then
        return answer('later', 'grace')
    end
elseif candidate and not runs and original_stands() then
    skip('skipped')
    return answer('skip', 'none', candidate_of)
end
if gated and not runs then
    local verdict, reason = ask()
    if verdict == 'hold' and reason == 'paused' and not resumed and hold_max > 0 and held_by(KEYS[8]) >= hold_max then
        verdict, reason = 'later', 'full'
    end
    if verdict == 'hold' then
        hold(reason)
    elseif verdict == 'skip' then
        skip('noops')
        if tonumber(done_ttl_ms) > 0 then
            call('HSET', KEYS[11], 'm', '', 'next', '', 'waits', 0, 'at', '')
            call('PEXPIRE', KEYS[11], done_ttl_ms)
        end
    end
    if verdict ~= 'run' then
        return answer(verdict, reason)
    end
end
forget(KEYS[3], heirs, jid)
if resumed then
    call('HDEL', KEYS[7], jid)
end
if taken then
    count('waited_ms', math.max(0, now - taken))
    if not leased and capacity == 0 then
        count('idle', idle_at(now))
    end
end
if lasts then
    call('ZADD', KEYS[4], digits(now + tonumber(run_ttl_ms)), member)
end
if keyed then
    keep_key_run(KEYS[13], member, now + tonumber(run_ttl_ms))
end
if owner == jid then
    if executed then
        call('HSET', KEYS[3], 'st', 'r', 'run', member, 'ep', epoch)
        call('PEXPIRE', KEYS[3], ttl_ms)
    else
        call('DEL', KEYS[3])
        if candidates > 0 then
            call('SET', KEYS[5], 'until_executing', 'PX', ttl_ms)
        end
    end
end
if recorded and not runs then
    set_chain(KEYS[12], number, member, brief_ms)
end
if slot_ttl_ms > 0 then
    take_slot(runs)
end
local own_number = follow_up > 0 and follow_up or tonumber(claim[8]) or 0
if own_number > 0 and owner == jid and not runs then
    start_numbered(KEYS[16], jid, own_number, ttl_ms)
end
if follow_up > 0 and not runs then
    count('follow_ups')
end
count('admitted')
return answer('run', 'none', '', leased and take_lease(runs) or 0)
