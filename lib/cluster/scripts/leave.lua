-- Declares a node dead that leaves the cluster.
redis.call('ZADD', NODES_KEY, 0, ARGV[1])
publishEnd(ARGV[1], 'node_left')
