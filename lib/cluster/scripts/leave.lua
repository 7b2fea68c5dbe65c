-- A node leaves: it is as if it had not been heard of for long.
redis.call('ZADD', NODES_KEY, 0, ARGV[1])
