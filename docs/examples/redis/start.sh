set -- --dir /data --save "" --protected-mode no "$@"
[ "$NAME" = n1 ] || set -- "$@" --replicaof n1 6379
mkdir -p /data
exec redis-server "$@"
