-- announce: there is a new holding topic for the resumer of a consumer group
-- KEYS  1 epoch  2 stats  3 announced
-- ARGV  1 run_id  2 channel
-- OUT   {changed, generation}     changed: always 1
-- TIME  the server's, never the caller's
-- AGAIN it is announced once more
-- COST  inner commands: 3

local generation = call('INCR', KEYS[3])
call('PUBLISH', ARGV[2], 'held')
return {1, generation}
