-- renew: this job still runs (until_executed, a limit, a lease or a capacity)
-- KEYS  1 epoch  2 stats  3 claim  4 run  5 held  6 lease  7 done  8 chain  9 run_key  10 cap
--       11 fol
-- ARGV  1 run_id  2 jid  3 member  4 run_ttl_ms  5 ttl_ms  6 epoch_in  7 channel  8 lease  9 token_in  10 capacity
--       11 done_ttl_ms  12 limit_key  13 slot_ttl_ms  14 follows_up
-- OUT   {changed, epoch}     changed: the run is a member, and holds its lease
-- TIME  the server's, never the caller's
-- AGAIN the TTLs start once more
-- COST  inner commands: 8, 6 when the claim is another's; with a lease 3 more; with a limit by key 2
--       more; with a capacity slot 1 more, or 2 to 4; 2 or 3 more when other runs have expired; 3 more for
--       a claim that comes back; 1 more when it has follow-ups
--
-- A member that is missing comes back only when the store lost data since it was admitted (epoch_in is another than the
-- current epoch), and does not know it as done; else its run had expired, and is over. So is one whose lease was given
-- to another: in the same epoch when that has it, in a new one when a larger token is known. Puts the state of its own
-- claim back, and in a new epoch its lease and its chain. Creates a claim only with follow-ups, when the store lost it:
-- they wait for that. What is kept briefly of a job with a lease,
-- that it started, is kept on: when its run dies, it comes again. Its capacity slot does not end before it, and comes back
-- in a new epoch, while there is room; in the same one it was freed.

local jid, member, run_ttl_ms, ttl_ms, epoch_in = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local leased, token, number = ARGV[8] ~= 'none' and ARGV[9] ~= '0', tonumber(ARGV[9]), number_of(jid)
local capacity, slot_ttl_ms = tonumber(ARGV[10]), tonumber(ARGV[13])
local keyed = ARGV[12] ~= ''
local gated = ARGV[8] ~= 'none' or capacity > 0
local now = now_ms()
local freed = reap(KEYS[4], now)
local alive = call('ZSCORE', KEYS[4], member)
if not alive and epoch_in ~= epoch then
    alive = call('EXISTS', KEYS[7]) == 0
end

if alive and leased then
    local lease = call('HMGET', KEYS[6], 'm', 'tok')
    if epoch_in == epoch then
        alive = lease[1] == member
    else
        alive = (tonumber(lease[2]) or 0) <= token
        if alive then
            call('HSET', KEYS[6], 'm', member, 'tok', ARGV[9])
        end
    end
    if alive then
        call('PEXPIRE', KEYS[6], digits(tonumber(run_ttl_ms) + LEASE_FREE_MS))
    else
        freed = freed + call('ZREM', KEYS[4], member)
    end
end
local function keep_slot()
    local least = now + tonumber(run_ttl_ms)
    local expires = tonumber(call('ZSCORE', KEYS[10], jid)) or 0
    if expires > now then
        if expires < least then
            call('ZADD', KEYS[10], digits(least), jid)
        end
    elseif epoch_in ~= epoch and slots_taken(KEYS[10], now) < capacity then
        call('ZADD', KEYS[10], digits(now + math.max(slot_ttl_ms, tonumber(run_ttl_ms))), jid)
    end
end

if keyed and not alive then
    call('ZREM', KEYS[9], member)
end
if alive then
    call('ZADD', KEYS[4], digits(now + tonumber(run_ttl_ms)), member)
    if keyed then
        keep_key_run(KEYS[9], member, now + tonumber(run_ttl_ms))
    end
    local brief_ms = brief_of(number, capacity, ARGV[11])
    if epoch_in ~= epoch and (gated or not brief_ms) then
        local started = tonumber(call('HGET', KEYS[8], 'n'))
        if not started or started < number then
            set_chain(KEYS[8], number, member, brief_ms)
        end
    elseif gated and brief_ms then
        call('PEXPIRE', KEYS[8], brief_ms)
    end
    if slot_ttl_ms > 0 then
        keep_slot()
    end
end
if freed > 0 and held_by(KEYS[5]) > 0 then
    call('PUBLISH', ARGV[7], 'slot')
end
local claim = call('HMGET', KEYS[3], 'jid', 'ep', 'run', 'fu')
if claim[1] == jid and (claim[3] == member or claim[2] ~= epoch) then
    call('HSET', KEYS[3], 'st', 'r', 'run', member, 'ep', epoch)
    call('PEXPIRE', KEYS[3], ttl_ms)
    if claim[4] then
        call('PEXPIRE', KEYS[11], ttl_ms)
    end
elseif not claim[1] and ARGV[14] == '1' and alive and epoch_in ~= epoch then
    call('HSET', KEYS[3], 'jid', jid, 'st', 'r', 'run', member, 'ep', epoch, 'at', digits(now),
               'mode', 'until_executed', 'n', 0, 'nc', 0, 'fu', 1)
    call('PEXPIRE', KEYS[3], ttl_ms)
end
return {alive and 1 or 0, tonumber(epoch)}
