-- Replies with the clients of a node.
return redis.call('SMEMBERS', CLIENTS_PREFIX .. ARGV[1])
