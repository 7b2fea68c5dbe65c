-- Replies with what a node has registered.
return redis.call('SMEMBERS', CLIENTS_PREFIX .. ARGV[1])
