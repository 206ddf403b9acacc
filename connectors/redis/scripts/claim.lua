-- claim: does this job stand for its job key?
-- KEYS  1 epoch  2 stats  3 claim  4 dups  5 run  6 fol
-- ARGV  1 run_id  2 jid  3 mode  4 provisional_ms  5 action  6 follows_up  7 ttl_ms
-- OUT   {verdict, original, state, since_ms, follow_up}     verdict: original, duplicate, candidate; state: n, p, q, h,
--       r; follow_up: its number, 0 where it is none
-- TIME  the server's, never the caller's
-- AGAIN the owner is told original again; the newest candidate or duplicate is told the same and counted once
-- COST  inner commands: 6 original, 7 duplicate or candidate (of a running job 9), 2 told again. With follow-ups: 1 more
--       an original, 3 when there were some; a follow-up 13, 14 in a new epoch, 5 told again
--
-- With follow-ups, a duplicate of a job that runs, or may run, is a candidate with a number: it may have to run after it.

local jid, mode, provisional_ms, action = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local follows_up = ARGV[6] == '1' and mode == 'until_executed'
local claim = call('HMGET', KEYS[3], 'jid', 'st', 'ep', 'at', 'n', 'nc', 'cn', 'dn', 'run')
local owner, state, since = claim[1], claim[2], tonumber(claim[4])
local duplicates, candidates = tonumber(claim[5]), tonumber(claim[6])
local newest_candidate, newest_duplicate = claim[7], claim[8]

if owner == jid then
    return {'original', '', 'n', 0, 0}
end

-- The largest number of a follow-up that is known, given here or not: the store may have lost data, and clocks differ.
local function largest(last, n)
    return (last or n) and math.max(tonumber(last) or 0, tonumber(n) or 0)
end

-- A running job does not come up for admission again, so it turns away nothing of mode until_executing.
local over = state == 'r' and mode == 'until_executing'
if not owner or over then
    if over then
        call('DEL', KEYS[3])
    end
    call('HSET', KEYS[3], 'jid', jid, 'st', 'p', 'ep', epoch, 'at', digits(now_ms()), 'mode', mode,
               'n', 0, 'nc', 0)
    call('PEXPIRE', KEYS[3], provisional_ms)
    -- It is newer than the follow-ups of those before it.
    local last = follows_up and largest(unpack(call('HMGET', KEYS[6], 'last', 'n')))
    if last then
        call('HSET', KEYS[6], 'last', digits(last + 1))
        call('HSET', KEYS[3], 'no', digits(last + 1))
    end
    count('claimed')
    return {'original', '', 'n', 0, 0}
end

-- A run that is no longer renewed may have ended unseen, or its job comes again: it turns nothing away.
local function is_alive(run)
    local expiry = run and call('ZSCORE', KEYS[5], run)
    return expiry and tonumber(expiry) > now_ms()
end

local certain = claim[3] == epoch and (state == 'q' or state == 'h' or state == 'r' and is_alive(claim[9]))
local follow = follows_up and (state == 'r' or claim[3] ~= epoch)
local fol = follow and call('HMGET', KEYS[6], 'last', 'u', 'uj', 'ep', 'n') or {}
local number = follow and fol[3] == jid and tonumber(fol[2]) or 0
local told
if follow then
    told = number > 0
elseif certain then
    told = newest_duplicate == jid
else
    told = newest_candidate == jid
end
if follow and not told then
    local now = now_ms()
    number = math.max((largest(fol[1], fol[5]) or 0) + 1, now * 1000)
    call('HSET', KEYS[6], 'last', digits(number), 'u', digits(number), 'uj', jid,
               'ue', digits(now + tonumber(provisional_ms)), 'ep', epoch)
    call('PEXPIRE', KEYS[6], ARGV[7])
    if fol[4] and fol[4] ~= epoch then
        call('HDEL', KEYS[6], 'jid')
    end
end
if not told then
    if follow and certain then
        call('HSET', KEYS[3], 'n', duplicates + 1, 'fu', 1)
    elseif certain then
        call('HSET', KEYS[3], 'n', duplicates + 1, 'dn', jid)
    else
        call('HSET', KEYS[3], 'n', duplicates + 1, 'nc', candidates + 1, 'cn', jid)
        if follow then
            call('HSET', KEYS[3], 'fu', 1)
        end
    end
    call('LPUSH', KEYS[4], table.concat({jid, owner, digits(now_ms()), certain and state or 'p', action,
                                               certain and not follow and 0 or 1}, ' '))
    call('LTRIM', KEYS[4], 0, 99)
    count(certain and not follow and 'duplicates' or 'candidates')
end
-- Asked again, and its original was confirmed in between: now it is dropped, so it is no heir.
if certain and not follow and newest_candidate == jid then
    call('HDEL', KEYS[3], 'cn')
end
return {certain and not follow and 'duplicate' or 'candidate', owner, certain and state or 'p', since, number}
