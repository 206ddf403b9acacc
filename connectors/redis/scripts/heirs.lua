-- heirs: how a claim goes on to a candidate; the loader puts it in front of the scripts that end claims without a run
-- KEYS  1 epoch  2 stats
-- ARGV  1 run_id
-- TIME  the server's, never the caller's
--
-- The heir is the newest candidate, else the newest acknowledged one; those that were admitted or failed have left.
-- It is queued when it was acknowledged. In a claim of an older epoch it is provisional in any case, and the epoch
-- stays: an admission that made it leave may be among what was lost.
-- `heirs` are the claim's fields `cn` and `ca`. Cost: forget: 1 inner command, when it was one; pass_on: 1, or 5.

-- `who` is no candidate any more; the fields named go too. False: nothing went.
local function forget(claim_key, heirs, who, ...)
    local fields = {...}
    if heirs[1] == who then
        table.insert(fields, 'cn')
    end
    if heirs[2] == who then
        table.insert(fields, 'ca')
    end
    if #fields > 0 then
        call('HDEL', claim_key, unpack(fields))
    end
    return #fields > 0
end

-- False: there is no heir, and the claim is gone.
local function pass_on(claim_key, heirs, claim_epoch, ttl_ms, provisional_ms)
    local heir = heirs[1] or heirs[2]
    if not heir then
        call('DEL', claim_key)
        return false
    end
    local acked = heir == heirs[2] and claim_epoch == epoch
    call('HSET', claim_key, 'jid', heir, 'st', acked and 'q' or 'p', 'at', digits(now_ms()))
    forget(claim_key, heirs, heir, 'run')
    call('PEXPIRE', claim_key, acked and ttl_ms or provisional_ms)
    count('passed')
    return true
end

