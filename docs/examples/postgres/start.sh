set -e
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
install -d -o postgres -m 700 /data /data/db
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
export PGPASSWORD=secret
if [ ! -e /data/db/PG_VERSION ] && [ "$NAME" = n1 ]; then
    echo "$PGPASSWORD" > /tmp/password
    as_postgres initdb -D /data/db --auth-host scram-sha-256 --pwfile /tmp/password
    echo "host all,replication all all scram-sha-256" >> /data/db/pg_hba.conf
fi
while [ ! -e /data/db/PG_VERSION ]; do
    as_postgres pg_basebackup -h n1 -U postgres -D /data/db -R || sleep 0.2
done
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -D /data/db -c "listen_addresses=*"
